"""What the profiler asks of a device: without an answer it complains at every operation.

A program that profiles with ``ProfilerActivity.CUDA`` (or the older ``use_device="cuda"``) makes
PyTorch record device events through ``torch::profiler::impl::ProfilerStubs``, whose stand-in in a
CPU build warns with a native stack for each.  Ours records nothing, in silence.
"""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch

from placeaudit.simulate.torch_cuda.headers import profiler_slots
from placeaudit.simulate.torch_cuda.machine import (
    NativeCode,
    find_function,
    kept_for_ever,
    open_library,
)

if TYPE_CHECKING:
    from placeaudit.simulate.torch_cuda.patches import Patches

__all__ = ["add_profiling"]

_CURRENT: Final = "_ZN5torch8profiler4impl9cudaStubsEv"
_REGISTER: Final = "_ZN5torch8profiler4impl19registerCUDAMethodsEPNS1_13ProfilerStubsE"


def _make_stubs() -> int:
    """An object whose every virtual function does nothing and says yes."""
    code = NativeCode()
    answer = code.answering()
    code.seal()
    slots = profiler_slots(Path(torch.__file__).parent / "include")
    table = (ctypes.c_uint64 * slots)(*[answer] * slots)
    stubs = (ctypes.c_uint64 * 1)(ctypes.addressof(table))
    kept_for_ever.extend((code, table, stubs))
    return ctypes.addressof(stubs)


def add_profiling(patches: Patches) -> None:
    """Answer the profiler."""
    cpu = open_library("libtorch_cpu.so")
    register = find_function(cpu, _REGISTER)
    before = ctypes.c_void_p(find_function(cpu, _CURRENT)())
    register(ctypes.c_void_p(_make_stubs()))
    patches.on_undo(lambda: register(before))
    owners: tuple[Any, ...] = (torch.autograd, torch.autograd.profiler)
    supported = owners[0]._supported_activities

    def with_device() -> set[Any]:
        return {*supported(), torch.profiler.ProfilerActivity.CUDA}

    for owner in owners:
        patches.set(owner, "_supported_activities", with_device)
