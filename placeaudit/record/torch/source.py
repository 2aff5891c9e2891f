"""Arms and disarms everything that records in a PyTorch program."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import torch

from placeaudit.model import Phase
from placeaudit.record.sites import Sites
from placeaudit.record.torch.context import TorchContext
from placeaudit.record.torch.interception import INTERCEPTION, accelerator, unavailable
from placeaudit.record.torch.modules import Census, ModuleSource
from placeaudit.record.torch.operations import OperationWindow
from placeaudit.record.torch.optimizers import OptimizerSource
from placeaudit.record.torch.patches import Patches
from placeaudit.record.window import DEFAULT, StepWindow
from placeaudit.store.writer import RecordWriter

__all__ = ["TorchSource"]


class _Recording:
    """The context that the process's interception records into."""

    def __init__(self, context: TorchContext) -> None:
        self._context = context

    def disarm(self) -> None:
        """Record no more."""
        if INTERCEPTION.context is self._context:
            INTERCEPTION.stop_recording()


class TorchSource:
    """Recording in PyTorch: kernels, hooks and patches of one session."""

    def __init__(self, writer: RecordWriter, sites: Sites, steps: StepWindow = DEFAULT) -> None:
        self._writer = writer
        self._sites = sites
        self._steps = steps
        self._window: OperationWindow | None = None
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
            INTERCEPTION.rearm()
            return
        self._reason = unavailable()
        if self._reason:
            return  # said at the end only: a simulated device may still come
        context = self._context = TorchContext(self._writer, self._sites)
        self._armed.append(_Recording(context))
        for name, reason in INTERCEPTION.record(context).items():
            self._note(f"{name} on {context.device_type} is not observed: {reason}")
        if accelerator()[1]:
            self._before = _allocated()
        census = self._census = Census(context)
        sources = (
            ModuleSource(context, census),
            OptimizerSource(context, census),
            Patches(context),
        )
        for source in sources:
            self._armed.append(source)  # first: what arms halfway is undone too
            source.arm()
        self._window = OperationWindow(context, self._steps)
        self._armed.append(self._window)
        self._window.arm()

    def disarm(self) -> None:
        """Undo everything; what was held back goes into the record."""
        for source in reversed(self._armed):
            source.disarm()
        if self._armed and self._context is not None:
            self._context.end()
        if self._window is not None:
            self._writer.facts["operations"] = self._window.covered()
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

    def before_fork(self) -> None:
        """The process is about to fork."""
        if self._window is not None:
            self._window.before_fork()

    def after_fork_in_parent(self) -> None:
        """It has."""
        if self._window is not None:
            self._window.after_fork_in_parent()

    def after_fork(self) -> None:
        """In a forked child."""
        if self._window is not None:
            self._window.after_fork()
        if self._context is not None:
            self._context.after_fork()
        if self._census is not None:
            self._census.forget()

    def is_loader_worker(self) -> bool:
        """Whether this process is a worker of a DataLoader."""
        data = sys.modules.get("torch.utils.data")
        return data is not None and data.get_worker_info() is not None

    def mark_step(self, *, written: bool) -> bool:
        """Write the mark of ``placeaudit.step()``, unless another framework's source has."""
        if self._context is None:
            return written
        self._context.mark_step(written=written)
        return True

    def settle(self) -> None:
        """Hand out the downloads that nobody has waited for yet."""
        if self._context is not None:
            self._context.held.release()

    def where(self, frame: FrameType) -> tuple[int, int, int, int, int] | None:
        """The site columns of an event of another layer at ``frame``; None while not recording."""
        if self._context is None or not self._armed:
            return None
        return self._context.where(frame, self._context.state(), in_graph=None)

    def in_phase(self, phase: Phase) -> Callable[[], None]:
        """The calling thread is in ``phase`` until what is returned is called."""
        if self._context is None:
            return lambda: None
        state = self._context.state()
        before, state.phase = state.phase, int(phase)

        def leave() -> None:
            state.phase = before

        return leave

    def contexts(self) -> dict[str, int]:
        """Devices this process has initialised, with the bytes allocated there so far.

        Asks what is there already and initialises nothing.
        """
        context = self._context
        if not self._armed or context is None or context.device_type != "cuda":
            return {}
        if not torch.cuda.is_initialized() or torch.cuda._is_in_bad_fork():
            return {}
        if accelerator()[1]:
            # A simulated device has no context of its own: memory was asked for, or nothing was.
            sizes = [now - before for now, before in zip(_allocated(), self._before, strict=False)]
            return {f"cuda:{index}": size for index, size in enumerate(sizes) if size}
        torch_c: Any = torch._C
        there = torch_c._cuda_hasPrimaryContext
        return {f"cuda:{index}": size for index, size in enumerate(_allocated()) if there(index)}

    def hardware(self) -> dict[str, object]:
        """Memory of the real devices in use, and which of them reach each other's directly.

        ``{"memory_bytes": {"cuda:0": 150e9}, "peers": {"cuda:0 cuda:1": True}}``; nothing in
        simulation, whose memory is that of the hardware model.
        """
        used = [] if accelerator()[1] else [int(name[5:]) for name in self.contexts()]
        if not used:
            return {}
        reach = torch.cuda.can_device_access_peer
        return {
            "memory_bytes": {
                f"cuda:{i}": torch.cuda.get_device_properties(i).total_memory for i in used
            },
            "peers": {
                f"cuda:{i} cuda:{j}": bool(reach(j, i)) for i in used for j in used if i != j
            },
        }

    def _note(self, text: str) -> None:
        self._writer.note("PA903", text)


def _allocated() -> list[int]:
    """Bytes allocated on each CUDA device over the life of this process."""
    stats: Any = torch._C._cuda_memoryStats
    devices = range(torch.cuda.device_count())
    return [int(stats(index)["allocated_bytes"]["all"]["allocated"]) for index in devices]
