"""The native half of simulated CUDA: what C++ asks before it ever reaches a Python kernel.

Three questions are asked in C++ and answered here through ``ctypes``, each with its undo:

* *which device and stream are current?*  A device guard: see :mod:`.guard`.
* *is there an accelerator?*  ``at::detail::getCUDAHooks()`` gets a copy of its virtual table whose
  entries point at tiny native functions: no Python runs, no lock is taken.
* *who allocates page-locked memory?*  An allocator object of its own that shares the CPU
  allocator's functions, so that a storage tells by its allocator whether it is "pinned".
"""

from __future__ import annotations

import atexit
import ctypes
import os
import platform
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import torch

from placeaudit.errors import SimulationError
from placeaudit.simulate.torch_cuda.cuda_build import cuda_build
from placeaudit.simulate.torch_cuda.generators import getting_generator
from placeaudit.simulate.torch_cuda.guard import install_guard
from placeaudit.simulate.torch_cuda.headers import hook_slots
from placeaudit.simulate.torch_cuda.machine import (
    NativeCode,
    find_address,
    find_function,
    kept_for_ever,
    memory,
    open_library,
)

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "NativeDevice",
    "ask_initialization",
    "follow_forks",
    "keep_freed_memory",
    "memory",
    "repair_engine",
    "settle_before_exit",
]

_CUDA_TYPE: Final = 1  # c10::DeviceType::CUDA
_WORD: Final = 8
#: Words before a vtable's first function: offset-to-top and type information.
_VTABLE_PREFIX: Final = 2
_STORAGE_WORDS: Final = 16

_CPU_ALLOCATOR: Final = "_ZN3c1015GetCPUAllocatorEv"
_HOOKS: Final = "_ZN2at6detail12getCUDAHooksEv"
_CPU_GENERATOR: Final = "_ZN2at6detail22getDefaultCPUGeneratorEv"
_CURRENT_DEVICE: Final = "_ZN2at11accelerator14getDeviceIndexEv"
#: ``CUFFT_DEFAULT_CACHE_SIZE`` (aten/src/ATen/native/cuda/CuFFTPlanCache.h).
_CUFFT_PLANS: Final = 4096
_ENGINE: Final = "_ZN5torch8autograd6Engine18get_default_engineEv"
_REQUIRE_INIT: Final = "_ZN5torch5utils24set_requires_device_initEN3c1010DeviceTypeEb"
_START_THREADS: Final = "_ZN5torch8autograd6Engine20start_device_threadsEv"


def _check_platform() -> None:
    system, machine = platform.system(), platform.machine()
    if system != "Linux" or machine not in {"x86_64", "AMD64"} or sys.maxsize < 1 << 32:
        raise SimulationError(
            f"simulated CUDA was tried on Linux x86-64 only, this is {system} {machine}"
        )
    if sys.implementation.name != "cpython":
        raise SimulationError("simulated CUDA needs CPython")


class NativeDevice:
    """The native surface of ``count`` CUDA devices; :meth:`hide` and :meth:`remove` undo it."""

    def __init__(self, count: int) -> None:
        _check_platform()
        #: Read by native code, so that a later simulation may have another count.
        self._count = ctypes.c_uint64(count)
        kept_for_ever.append(self._count)
        self._undo: list[Callable[[], None]] = []
        self._c10 = open_library("libc10.so")
        self._cpu = open_library("libtorch_cpu.so")
        try:
            self.pinned_allocator = self._make_pinned_allocator()
            self._allocator_word = self._find_allocator_word()
            self._undo.append(install_guard(self._count))
            self._install_hooks()
        except BaseException:
            self.remove()
            raise

    # --- page-locked memory ---------------------------------------------------------------

    def _cpu_allocator(self) -> int:
        return int(find_function(self._c10, _CPU_ALLOCATOR)())

    def _make_pinned_allocator(self) -> int:
        """A second object with the CPU allocator's virtual table (the class has no state)."""
        twin = (ctypes.c_uint64 * 4)()
        twin[0] = memory[self._cpu_allocator() >> 3]
        kept_for_ever.append(twin)
        return ctypes.addressof(twin)

    def _find_allocator_word(self) -> int:
        """Which word of a ``StorageImpl`` holds its allocator."""
        storage = torch.empty(5, device="cpu").untyped_storage()
        wanted, start = self._cpu_allocator(), storage._cdata >> 3
        for word in range(_STORAGE_WORDS):
            if memory[start + word] == wanted:
                return word
        raise SimulationError(f"this torch ({torch.__version__}) lays storages out unknown to us")

    def is_pinned(self, tensor: torch.Tensor) -> bool:
        """Whether the storage came from the page-locked allocator; no copy, no dispatch."""
        storage = tensor.untyped_storage()._cdata
        return bool(memory[(storage >> 3) + self._allocator_word] == self.pinned_allocator)

    # --- hooks ----------------------------------------------------------------------------

    def _answers(self, code: NativeCode) -> dict[str, int]:
        true, nothing = code.returning(1), code.returning(0)
        count = code.reading(self._count)
        plans = ctypes.c_uint64(_CUFFT_PLANS)
        kept_for_ever.append(plans)
        return {
            "isBuilt": true,
            "isAvailable": true,
            "hasPrimaryContext": true,
            "hasCUDA": true,
            "init": nothing,
            "deviceSynchronize": nothing,
            "deviceCount": count,
            "getNumGPUs": count,
            "getPinnedMemoryAllocator": code.returning(self.pinned_allocator),
            # Random numbers come from host generators, so that seeds give what a CPU run gives.
            "getDefaultGenerator": code.jump_to(find_address(self._cpu, _CPU_GENERATOR)),
            "getNewGenerator": code.add(getting_generator(self._count)),
            "current_device": code.jump_to(find_address(self._cpu, _CURRENT_DEVICE)),
            "hasCUDART": true,
            "hasMAGMA": true,
            "hasCuSOLVER": true,
            "hasCuBLASLt": true,
            "showConfig": code.text(cuda_build().summary),
            "cuFFTGetPlanCacheMaxSize": code.reading(plans),
            "cuFFTSetPlanCacheMaxSize": code.storing(plans),
            "cuFFTGetPlanCacheSize": nothing,
            "cuFFTClearPlanCache": nothing,
            # CUDA builds would call libraries that need a device.
            "hasCuDNN": nothing,
            "compiledWithCuDNN": nothing,
            "compiledWithMIOpen": nothing,
        }

    def _install_hooks(self) -> None:
        slots = hook_slots(Path(torch.__file__).parent / "include")
        code = NativeCode()
        answers = self._answers(code)
        code.seal()
        missing = answers.keys() - slots.keys()
        if missing:
            raise SimulationError(f"torch's CUDA hooks lack {', '.join(sorted(missing))}")
        hooks = int(find_function(self._cpu, _HOOKS)())
        before = memory[hooks >> 3]
        words = max(slots.values()) + 1
        table = (ctypes.c_uint64 * (words + _VTABLE_PREFIX))()
        ctypes.memmove(table, before - _VTABLE_PREFIX * _WORD, ctypes.sizeof(table))
        for name, function in answers.items():
            table[slots[name] + _VTABLE_PREFIX] = function
        kept_for_ever.extend((code, table))
        ours = ctypes.addressof(table) + _VTABLE_PREFIX * _WORD

        self._hooks, self._hidden, self._shown = hooks, before, ours
        self._undo.append(self.hide)
        self.show(self._count.value)

    def show(self, count: int) -> None:
        """From now on C++ sees an accelerator with ``count`` devices."""
        self._count.value = count
        memory[self._hooks >> 3] = self._shown

    def hide(self) -> None:
        """C++ sees no accelerator any more; what was made on it still works."""
        memory[self._hooks >> 3] = self._hidden

    def remove(self) -> None:
        """Put back everything native."""
        while self._undo:
            self._undo.pop()()


def repair_engine() -> None:
    """Start autograd's device threads where a backward ran before there was a device.

    The engine starts its threads once, at the first backward, one for each device of that moment.
    """
    cpu = open_library("libtorch_cpu.so")
    engine = ctypes.c_void_p(find_function(cpu, _ENGINE)())
    find_function(cpu, _START_THREADS)(engine)


def _yield_lock() -> None:
    for _ in range(8):
        time.sleep(0.001)


def settle_before_exit() -> None:
    """Let autograd's device threads finish before the interpreter ends.

    They run Python kernels, and when a backward returns one of them may still be about to drop what
    it held.  Where it asks for the interpreter's lock after the end has begun, Python tears it down
    in the middle of C++, which aborts the process.
    """
    atexit.register(_yield_lock)


def _asking() -> Callable[[int, bool], None]:
    ask: Any = find_function(open_library("libtorch_python.so"), _REQUIRE_INIT)
    ask.argtypes = [ctypes.c_int8, ctypes.c_bool]
    return cast("Callable[[int, bool], None]", ask)


def ask_initialization() -> None:
    """Let C++ call ``torch.cuda._lazy_init`` again before the next use of a device."""
    _asking()(_CUDA_TYPE, True)


def follow_forks() -> None:
    """Let a forked child end at once, and be refused the devices as CUDA refuses them.

    At exit the engine waits up to ten seconds for its device threads, which only the parent has.
    A CUDA build asks ``torch.cuda`` again in a child, whose ``_lazy_init`` raises the known error.
    """
    ask_again = _asking()

    def in_child() -> None:
        os.environ.setdefault("TORCH_AUTOGRAD_SHUTDOWN_WAIT_LIMIT", "0")
        ask_again(_CUDA_TYPE, True)

    os.register_at_fork(after_in_child=in_child)


def keep_freed_memory() -> None:
    """Have glibc keep freed memory instead of giving it back to the system.

    A device's caching allocator reuses what was freed; simulated tensors live in the C heap, and
    backward frees and allocates on the engine's own threads, whose arenas give large blocks back at
    once: a quarter of a convolutional net's step went into page faults.  glibc only takes
    the settings (malloc.h: M_ARENA_MAX, M_MMAP_THRESHOLD, M_TRIM_THRESHOLD, M_TOP_PAD), it does
    not tell the values before, so they stay.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    largest_threshold, never, pad = 32 << 20, (1 << 31) - 1, 64 << 20
    for setting, value in ((-8, 1), (-3, largest_threshold), (-1, never), (-2, pad)):
        mallopt(setting, value)
