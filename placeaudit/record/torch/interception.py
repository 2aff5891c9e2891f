"""What stands before the accelerator's copies and waits: one set per process, whoever needs it.

A recording session and guards use the same kernels and patches.  They are put in place when the
first of them begins and taken away when the last one ends, in any order.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from types import CodeType
from typing import Any, Final

import torch

from placeaudit.record.guard import SCOPES
from placeaudit.record.torch.calls import CallPatches
from placeaudit.record.torch.context import TorchContext
from placeaudit.record.torch.copies import CopyRecorder
from placeaudit.record.torch.gate import inherited
from placeaudit.record.torch.kernels import Kernels

__all__ = ["INTERCEPTION", "Interception", "accelerator", "unavailable"]

#: Type of accelerator -> its dispatch key.
_KEYS: Final = {"cuda": "CUDA", "xpu": "XPU", "mps": "MPS"}


def accelerator() -> tuple[str, bool]:
    """``(type, simulated)`` of the accelerator this torch can use, ``("", False)`` for none.

    Asks what torch was built for, not what is there: asking the driver would initialise it, and
    after that no forked child could use the device.
    """
    from placeaudit.simulate import torch_cuda

    if torch_cuda.active() is not None:
        return "cuda", True
    if torch.backends.cuda.is_built():
        return "cuda", False
    if torch.backends.mps.is_built():
        return "mps", False
    if torch.xpu._is_compiled():
        return "xpu", False
    return "", False


def unavailable() -> str:
    """Why nothing can be intercepted, "" where it can."""
    if not accelerator()[0]:
        return (
            "no accelerator: this torch is built for the CPU only, and no device is "
            "simulated, so there are no copies between devices to record"
        )
    if not hasattr(torch.library, "get_kernel"):
        return (
            f"copies and waits cannot be recorded: torch {torch.__version__} has no "
            "torch.library.get_kernel (2.10 has)"
        )
    return ""


def _no_wait(_device: torch.device) -> None:
    """Simulated devices are never behind."""


def _stream_wait(device_type: str) -> Callable[[torch.device], None]:
    """Waits for the current stream, by the function that stood there before our patches."""
    module = getattr(torch, device_type)
    if device_type == "mps":
        synchronize = module.synchronize
        return lambda _device: synchronize()
    wait = module.Stream.synchronize
    return lambda device: wait(module.current_stream(device))


class Interception:
    """Kernels and patches, and who they work for."""

    def __init__(self) -> None:
        #: Who records; None where only guards are in force.
        self.recorder: CopyRecorder | None = None
        self.context: TorchContext | None = None
        self.device_type = ""
        #: The code of the engine's wrapper: frames inside it run in backward.
        self.engine_code: CodeType | None = None
        #: Waits for the current stream of a device, releasing the GIL; set for real devices.
        self.wait_for_stream: Callable[[torch.device], None] = _no_wait
        self._lock = threading.RLock()
        self._guarding = False
        self._armed: list[Any] = []
        self._accelerator = ("", False)
        self._missing: dict[str, str] = {}

    def record(self, context: TorchContext) -> dict[str, str]:
        """Record into ``context`` from now on; returns the operators that are not seen, and why.

        Only where :func:`unavailable` is "".
        """
        with self._lock:
            self._arm()
            context.device_type = self.device_type
            context.engine_code = self.engine_code
            self.context = context
            self.recorder = CopyRecorder(context)
            return self._missing

    def stop_recording(self) -> None:
        """Record no more."""
        with self._lock:
            self.recorder = None
            self.context = None
            self._settle()

    def begin(self) -> None:
        """A guard is in force in this process."""
        with self._lock:
            self._guarding = True
            if not unavailable():
                self._arm()

    def end(self) -> None:
        """The last guard was left."""
        with self._lock:
            self._guarding = False
            self._settle()

    def rearm(self) -> None:
        """A simulated device was installed: its kernels stand before ours, or ours never stood."""
        with self._lock:
            if not (self._guarding or self.context is not None) or unavailable():
                return
            if self._armed and self._accelerator == accelerator():
                return
            self._disarm()
            self._arm()
            if self.context is not None:
                self.context.engine_code = self.engine_code

    def after_fork(self) -> None:
        """In a forked child: another thread may have held the lock."""
        self._lock = threading.RLock()

    def _arm(self) -> None:
        if self._armed:
            return
        SCOPES.inherited = inherited
        device_type, simulated = self._accelerator = accelerator()
        self.device_type = device_type
        # Before the patches: what stands there now is torch's own.
        self.wait_for_stream = _no_wait if simulated else _stream_wait(device_type)
        parts = (Kernels(self, _KEYS[device_type], simulated=simulated), CallPatches(self))
        for part in parts:
            self._armed.append(part)  # first: what arms halfway is undone too
            part.arm()
        self._missing = parts[0].missing

    def _settle(self) -> None:
        if self.context is None and not self._guarding:
            self._disarm()

    def _disarm(self) -> None:
        for part in reversed(self._armed):
            part.disarm()
        self._armed.clear()


#: The one of this process.
INTERCEPTION: Final = Interception()
os.register_at_fork(after_in_child=INTERCEPTION.after_fork)
