"""The functions of a CUDA build's ``torch._C`` that ``torch.cuda`` is written on: the devices."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, Final

import torch

from placeaudit.simulate.torch_cuda.cuda_build import cuda_build
from placeaudit.simulate.torch_cuda.devices import check_index, current_index
from placeaudit.simulate.torch_cuda.generators import add_generators, default_generators
from placeaudit.simulate.torch_cuda.libraries import add_libraries
from placeaudit.simulate.torch_cuda.memory import add_memory
from placeaudit.simulate.torch_cuda.properties import DeviceProperties

if TYPE_CHECKING:
    from collections.abc import Callable

    from placeaudit.simulate.spec import SimulationSpec
    from placeaudit.simulate.torch_cuda.ledger import Ledger
    from placeaudit.simulate.torch_cuda.patches import Patches

__all__ = ["add_runtime"]

_set_index: Final = torch._C._accelerator_setDeviceIndex


class _Runtime:
    """State behind the functions: how many devices, of what kind."""

    def __init__(self, spec: SimulationSpec) -> None:
        self._spec = spec
        self._process: int | None = None
        self._properties = [
            DeviceProperties(spec.device, index) for index in range(self._spec.count)
        ]

    def initialize(self) -> None:
        """``_cuda_init``: what only exists once CUDA is up."""
        self._process = os.getpid()
        generators: Any = default_generators(self._spec.count)
        torch.cuda.default_generators = generators

    def leave(self) -> None:
        """As in a process that has used no device so far: what it forks may."""
        self._process = None

    def is_in_bad_fork(self) -> bool:
        """Whether CUDA was initialised in a parent process of this one."""
        return self._process not in {None, os.getpid()}

    def set_device(self, index: int) -> None:
        """Make a device current in this thread."""
        check_index(index)
        if index >= 0:
            torch.cuda._lazy_init()
            _set_index(index)

    def exchange(self, index: int) -> int:
        """Make a device current, return the one before; a negative index changes nothing."""
        if index < 0:
            return -1
        before = current_index()
        self.set_device(index)
        return before

    def properties(self, index: int) -> DeviceProperties:
        """Properties of one device."""
        check_index(index)
        return self._properties[index]

    def can_access_peer(self, index: int, peer: int) -> bool:
        """Whether one device reaches the other's memory; its own it does not count as a peer's."""
        check_index(max(index, peer))
        return index != peer

    def has_context(self, index: int) -> bool:
        """Whether the device is in use by this process."""
        if not 0 <= index < self._spec.count:
            message = (
                f"hasPrimaryContext expects a valid device index, but got device_index={index}"
            )
            raise RuntimeError(message)
        return True

    def architectures(self) -> str:
        """What the kernels of the build were compiled for, the simulated device among it."""
        archs = list(cuda_build().archs)
        major, minor = self._spec.device.capability
        # Code for one minor version runs on later ones of the same major version.
        fitting = [f"sm_{major}{lower}" for lower in range(minor + 1)]
        if not set(fitting) & set(archs):
            archs.insert(0, fitting[-1])
        return " ".join(archs)

    def sleep(self, cycles: int) -> None:
        """The work of a device that only spins: the time it would take."""
        time.sleep(cycles / self._spec.device.clock_hz)

    def functions(self) -> dict[str, object]:
        """Names in ``torch._C``."""
        return {
            "_has_cuda": True,
            "_cuda_init": self.initialize,
            "_cuda_isInBadFork": self.is_in_bad_fork,
            "_cuda_getDeviceCount": lambda: self._spec.count,
            "_cuda_getDevice": current_index,
            "_cuda_setDevice": self.set_device,
            "_cuda_exchangeDevice": self.exchange,
            "_cuda_maybeExchangeDevice": self.exchange,
            "_cuda_hasPrimaryContext": self.has_context,
            "_cuda_getArchFlags": self.architectures,
            "_cuda_canDeviceAccessPeer": self.can_access_peer,
            "_cuda_synchronize": _nothing,
            "_cuda_ipc_collect": _nothing,
            "_cuda_sleep": self.sleep,
            # C++ knows eight devices, whatever is simulated.
            "_accelerator_setDeviceIndex": self.set_device,
            "_accelerator_exchangeDevice": self.exchange,
            "_accelerator_maybeExchangeDevice": self.exchange,
        }


def _nothing(*args: object, **kwargs: object) -> None:
    del args, kwargs


def add_runtime(patches: Patches, spec: SimulationSpec, ledger: Ledger) -> Callable[[], None]:
    """Supply the functions, and the values torch took from a CUDA build when imported.

    What is returned lets the process forget that it has used devices.
    """
    runtime = _Runtime(spec)
    patches.set_all(torch._C, runtime.functions())
    patches.set_all(
        torch.cuda,
        {
            "_is_in_bad_fork": runtime.is_in_bad_fork,
            "_exchange_device": runtime.exchange,
            "_maybe_exchange_device": runtime.exchange,
            "_get_device_properties": runtime.properties,
            "_device_count_nvml": lambda: -1,
            "is_current_stream_capturing": lambda: False,
        },
    )
    add_generators(patches)
    add_libraries(patches, spec.device, add_memory(patches, ledger, spec.count))
    return runtime.leave
