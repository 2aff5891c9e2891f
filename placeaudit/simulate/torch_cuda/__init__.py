"""Simulated CUDA: real tensors whose device is ``cuda:N`` and whose memory is the host's.

Autograd, autocast, views, version counters and error checks are PyTorch's own: only what would run
on the device is replaced, by Python kernels on the CUDA dispatch key that call the CPU operator on
zero-copy aliases.  Importing this package imports torch; nothing changes before :func:`install`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import torch

from placeaudit.errors import SimulationError
from placeaudit.simulate.spec import MAX_DEVICES
from placeaudit.simulate.torch_cuda import retag
from placeaudit.simulate.torch_cuda.builds import check_version, skip_timers
from placeaudit.simulate.torch_cuda.collectives import add_collectives
from placeaudit.simulate.torch_cuda.comm import add_comm
from placeaudit.simulate.torch_cuda.devices import limits
from placeaudit.simulate.torch_cuda.dispatch import Kernels
from placeaudit.simulate.torch_cuda.ledger import Ledger
from placeaudit.simulate.torch_cuda.native import (
    NativeDevice,
    ask_initialization,
    follow_forks,
    keep_freed_memory,
    settle_before_exit,
)
from placeaudit.simulate.torch_cuda.nccl import add_nccl
from placeaudit.simulate.torch_cuda.patches import (
    Patches,
    forget_initialization,
    leave_initialization,
)
from placeaudit.simulate.torch_cuda.philox import add_distributed_random
from placeaudit.simulate.torch_cuda.profiling import add_profiling
from placeaudit.simulate.torch_cuda.runtime import add_runtime
from placeaudit.simulate.torch_cuda.selftest import await_backward, run_selftest
from placeaudit.simulate.torch_cuda.sharing import add_sharing
from placeaudit.simulate.torch_cuda.storages import add_storages
from placeaudit.simulate.torch_cuda.streams import add_streams
from placeaudit.simulate.torch_cuda.syncnorm import add_syncnorm
from placeaudit.simulate.torch_cuda.tensor_types import add_tensor_types
from placeaudit.simulate.torch_cuda.waits import add_sync_debug

if TYPE_CHECKING:
    from placeaudit.simulate.spec import SimulationSpec

__all__ = ["Installation", "active", "install", "is_pinned"]


@dataclass(slots=True)
class _Process:
    """What exists once in a process: tensors outlive a simulation and must still print after it."""

    kernels: Kernels | None = None
    native: NativeDevice | None = None
    installation: Installation | None = None


_process: Final = _Process()


class Installation:
    """A simulation that is on; made by :func:`install`."""

    def __init__(self, spec: SimulationSpec) -> None:
        self.spec = spec
        self._patches = Patches()
        self._ledger = Ledger(MAX_DEVICES, spec.device.memory_bytes)

    def _install(self) -> None:
        patches, spec = self._patches, self.spec
        if _process.native is None:
            _process.native = NativeDevice(spec.count)
        else:
            _process.native.show(spec.count)
        patches.on_undo(_process.native.hide)
        limits.count = spec.count
        forget_initialization(patches)
        add_streams(patches)
        skip_timers(patches)  # before add_runtime, which names a CUDA version
        self._leave = add_runtime(patches, spec, self._ledger)
        add_sync_debug(patches)
        add_storages(patches)
        add_sharing(patches)
        add_comm(patches)
        add_nccl(patches)
        add_profiling(patches)
        add_tensor_types(patches)
        # Compiled code would bypass the kernels: everything runs eagerly.
        disabled = os.environ.get("TORCHDYNAMO_DISABLE")
        os.environ["TORCHDYNAMO_DISABLE"] = "1"
        patches.on_undo(lambda: _restore_environment("TORCHDYNAMO_DISABLE", disabled))
        torch.cuda._lazy_init()
        if _process.kernels is None:
            keep_freed_memory()
            follow_forks()
            settle_before_exit()
            _process.kernels = Kernels(_process.native)
        add_collectives(patches)
        add_syncnorm(patches)
        add_distributed_random(patches)
        retag.ledgers.append(self._ledger)
        patches.on_undo(lambda: retag.ledgers.remove(self._ledger))

    def install(self) -> None:
        """Switch on and test; where a test fails everything is put back first."""
        is_first = _process.kernels is None
        try:
            self._install()
            run_selftest(self.spec.count)
            leave_initialization(self._patches)
            self._leave()
            ask_initialization()
            await_backward(self._patches)
        except BaseException as error:
            self._patches.undo()
            if is_first:
                self._remove_kernels()
            if isinstance(error, (SimulationError, KeyboardInterrupt)):
                raise
            raise SimulationError(f"simulated CUDA does not work here: {error}") from error
        self._forget_selftest()
        _process.installation = self

    def _forget_selftest(self) -> None:
        self._ledger.release_unused()
        for index in range(self.spec.count):
            self._ledger.reset_peak(index)
            self._ledger.reset_accumulated(index)

    @staticmethod
    def _remove_kernels() -> None:
        if _process.kernels is not None:
            _process.kernels.remove()
        if _process.native is not None:
            _process.native.remove()
        _process.kernels = _process.native = None

    def uninstall(self) -> None:
        """Take back the visible surface; tensors that live on keep working.  Safe to call twice."""
        if _process.installation is self:
            _process.installation = None
        self._patches.undo()


def _restore_environment(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value


def _check_here() -> None:
    check_version()
    if torch.cuda.is_available():
        raise SimulationError(
            "this machine has a CUDA device in use by torch; set CUDA_VISIBLE_DEVICES='' to "
            "simulate instead, or trace without --simulate to audit the real one"
        )


def install(spec: SimulationSpec) -> Installation:
    """Simulate ``spec`` in this process from now on.

    Raises:
        SimulationError: torch is too old, the system is not one that was tried, a real device is
            in use, or the self-test failed; the process is as it was before.
    """
    if _process.installation is not None:
        raise SimulationError(f"{_process.installation.spec} is simulated already")
    _check_here()
    installation = Installation(spec)
    installation.install()
    return installation


def active() -> Installation | None:
    """The simulation that is on in this process, if any."""
    return _process.installation


def is_pinned(tensor: torch.Tensor) -> bool:
    """Whether simulated page-locked memory holds ``tensor``; cheaper than ``Tensor.is_pinned``."""
    return _process.native is not None and _process.native.is_pinned(tensor)
