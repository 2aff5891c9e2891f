"""Arms and disarms everything that records in a PyTorch program."""

from __future__ import annotations

import sys
from typing import Any, Final

import torch

from placeaudit.record.sites import Sites
from placeaudit.record.torch.context import TorchContext
from placeaudit.record.torch.kernels import Kernels
from placeaudit.record.torch.modules import Census, ModuleSource
from placeaudit.record.torch.optimizers import OptimizerSource
from placeaudit.record.torch.patches import Patches
from placeaudit.store.writer import RecordWriter

__all__ = ["TorchSource"]

#: Type of accelerator -> its dispatch key.
_KEYS: Final = {"cuda": "CUDA", "xpu": "XPU", "mps": "MPS"}


def _accelerator() -> tuple[str, bool]:
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


class TorchSource:
    """Recording in PyTorch: kernels, hooks and patches of one session."""

    def __init__(self, writer: RecordWriter, sites: Sites) -> None:
        self._writer = writer
        self._sites = sites
        self._context: TorchContext | None = None
        self._census: Census | None = None
        self._armed: list[Any] = []
        #: Bytes allocated on each simulated device before recording began, by its own self-test.
        self._before: list[int] = []
        #: Why nothing is recorded, "" while something is.
        self._reason = ""

    @property
    def armed(self) -> bool:
        """Whether an accelerator is being observed."""
        return bool(self._armed)

    def arm(self) -> None:
        """Begin to record, or keep the reason why there is nothing to record."""
        if self._armed:
            return
        device_type, simulated = _accelerator()
        if not device_type:
            # Said at the end only: a simulated device may still come.
            self._reason = (
                "no accelerator: this torch is built for the CPU only, and no device is "
                "simulated, so there are no copies between devices to record"
            )
            return
        if not hasattr(torch.library, "get_kernel"):
            self._reason = (
                f"copies and waits cannot be recorded: torch {torch.__version__} has no "
                "torch.library.get_kernel (2.10 has)"
            )
            return
        self._reason = ""
        context = self._context = TorchContext(self._writer, self._sites)
        context.device_type = device_type
        if simulated:
            self._before = _allocated()
        else:
            context.wait_for_stream = _stream_wait(device_type)
        kernels = Kernels(context, _KEYS[device_type], simulated=simulated)
        census = self._census = Census(context)
        sources = (
            kernels,
            ModuleSource(context, census),
            OptimizerSource(context, census),
            Patches(context),
        )
        for source in sources:
            self._armed.append(source)  # first: what arms halfway is undone too
            source.arm()
        for name, reason in kernels.missing.items():
            self._note(f"{name} on {device_type} is not observed: {reason}")

    def disarm(self) -> None:
        """Undo everything; what was held back goes into the record."""
        for source in reversed(self._armed):
            source.disarm()
        if self._armed and self._context is not None:
            self._context.end()
        self._armed.clear()

    def note_if_unused(self) -> None:
        """At the end: say so where no device was ever there, so that "nothing" is not "clean"."""
        context = self._context
        if self._reason:
            self._note(self._reason)
        if not self._armed or context is None or context.copies_seen():
            return
        if not torch.accelerator.is_available():
            self._note(f"no accelerator: torch is built for {context.device_type}, but no such "
                       "device is there, and none is simulated")  # fmt: skip

    def after_fork(self) -> None:
        """In a forked child."""
        if self._context is not None:
            self._context.after_fork()
        if self._census is not None:
            self._census.forget()

    def is_loader_worker(self) -> bool:
        """Whether this process is a worker of a DataLoader."""
        data = sys.modules.get("torch.utils.data")
        return data is not None and data.get_worker_info() is not None

    def mark_step(self) -> None:
        """Write the mark of ``placeaudit.step()``."""
        if self._context is not None:
            self._context.mark_step()

    def contexts(self) -> dict[str, int]:
        """Devices this process has initialised, with the bytes allocated there so far.

        Asks what is there already and initialises nothing.
        """
        context = self._context
        if not self._armed or context is None or context.device_type != "cuda":
            return {}
        if not torch.cuda.is_initialized() or torch.cuda._is_in_bad_fork():
            return {}
        if _accelerator()[1]:
            # A simulated device has no context of its own: memory was asked for, or nothing was.
            sizes = [now - before for now, before in zip(_allocated(), self._before, strict=False)]
            return {f"cuda:{index}": size for index, size in enumerate(sizes) if size}
        torch_c: Any = torch._C
        there = torch_c._cuda_hasPrimaryContext
        return {f"cuda:{index}": size for index, size in enumerate(_allocated()) if there(index)}

    def _note(self, text: str) -> None:
        self._writer.note("PA903", text)


def _allocated() -> list[int]:
    """Bytes allocated on each CUDA device over the life of this process."""
    stats: Any = torch._C._cuda_memoryStats
    devices = range(torch.cuda.device_count())
    return [int(stats(index)["allocated_bytes"]["all"]["allocated"]) for index in devices]


def _stream_wait(device_type: str) -> Any:
    """Waits for the current stream, by the function that stood there before our patches."""
    module = getattr(torch, device_type)
    if device_type == "mps":
        synchronize = module.synchronize
        return lambda _device: synchronize()
    wait = module.Stream.synchronize
    return lambda device: wait(module.current_stream(device))
