"""Arms and disarms everything that records in a TensorFlow program."""

from __future__ import annotations

from collections.abc import Callable
from types import FrameType
from typing import Any

import tensorflow as tf
from tensorflow.python.framework import kernels as registry
from tensorflow.python.framework import ops

from placeaudit.model import Phase
from placeaudit.record.clock import now_ns
from placeaudit.record.sites import Sites
from placeaudit.record.tensorflow.capture import PlacementCapture
from placeaudit.record.tensorflow.context import TensorflowContext
from placeaudit.record.tensorflow.datasets import DatasetRecorder
from placeaudit.record.tensorflow.graphs import FunctionRecorder
from placeaudit.record.tensorflow.operations import OperationRecorder
from placeaudit.record.tensorflow.patches import PatchSet
from placeaudit.record.tensorflow.phases import PhaseSource
from placeaudit.record.tensorflow.reads import add_reads
from placeaudit.record.tensorflow.sessions import SessionRecorder
from placeaudit.simulate.tensorflow_gpu.installation import active
from placeaudit.simulate.tensorflow_gpu.kernels import KernelTable
from placeaudit.simulate.tensorflow_gpu.names import Names
from placeaudit.store.writer import RecordWriter

__all__ = ["TensorflowSource"]


class TensorflowSource:
    """Recording in TensorFlow: wrapped entry points and spans of one session."""

    def __init__(self, writer: RecordWriter, sites: Sites, *, placement_log: bool = False) -> None:
        self._writer = writer
        self._sites = sites
        self._wants_log = placement_log
        self._capture: PlacementCapture | None = None
        self._installation = active()
        self._context = self._new_context()
        self._patches: PatchSet | None = None
        self._phases: PhaseSource | None = None

    def arm(self) -> None:
        """Begin to record; without a GPU too, for what is asked onto one."""
        if self._patches is not None:
            if self._installation is active():
                return
            # Devices have other names now; a simulation's functions stand under ours.
            self.disarm()
            self._installation = active()
            self._context = self._new_context()
        patches = self._patches = PatchSet()
        kernels = _kernels()
        functions = FunctionRecorder(self._context, kernels)
        recorder = OperationRecorder(self._context, kernels, functions=functions)
        native: Any = ops.pywrap_tfe

        def eager() -> None:
            patches.wrap(native, "TFE_Py_FastPathExecute", recorder.wrap_fast)
            patches.wrap(native, "TFE_Py_Execute", recorder.wrap_slow)
            patches.wrap(native, "TFE_Py_ExecuteCancelable", recorder.wrap_slow)

        parts: tuple[tuple[str, Callable[[], None]], ...] = (
            ("compiled functions", lambda: functions.arm(patches)),
            ("pipelines of tf.data", lambda: DatasetRecorder(self._context).arm(patches)),
            ("sessions", lambda: SessionRecorder(functions).arm(patches)),
            ("eager operations", eager),
            ("constants and reads", lambda: add_reads(patches, recorder)),
        )
        for what, begin in parts:
            try:
                begin()
            except AttributeError as error:
                self._writer.note(
                    "PA903",
                    f"{what} are not recorded: TensorFlow {tf.__version__} is not as 2.21, which "
                    f"placeaudit knows ({error})",
                )
        if self._wants_log:
            self._capture = PlacementCapture(self._writer, recorder, now_ns())
            self._capture.arm(patches)
        self._phases = PhaseSource(self._context, patches)
        self._phases.arm()

    def _new_context(self) -> TensorflowContext:
        found = self._installation
        names = found.names if found is not None else Names.real()
        return TensorflowContext(self._writer, self._sites, names)

    def disarm(self) -> None:
        """Undo everything."""
        if self._capture is not None:
            self._capture.disarm()
        if self._phases is not None:
            self._phases.disarm()
        if self._patches is not None:
            self._patches.undo()
        self._context.close()

    def note_if_unused(self) -> None:
        """At the end: say so where no device was there, so that "nothing" is not "clean"."""
        if not _gpus():
            self._writer.note(
                "PA903",
                "no accelerator: TensorFlow sees no GPU, and none is simulated",
            )

    def before_fork(self) -> None:
        """The process is about to fork."""

    def after_fork_in_parent(self) -> None:
        """It has."""

    def after_fork(self) -> None:
        """In a forked child."""
        if self._capture is not None:
            self._capture.after_fork()
        self._context.after_fork()

    def is_loader_worker(self) -> bool:
        """Whether this process loads data for another: TensorFlow loads in threads."""
        return False

    def mark_step(self, *, written: bool) -> bool:
        """Write the mark of ``placeaudit.step()``, unless another framework's source has."""
        if self._patches is None:
            return written
        if not written:
            self._context.mark_step()
        return True

    def settle(self) -> None:
        """Nothing is held back."""

    def where(self, frame: FrameType) -> tuple[int, int, int, int, int] | None:
        """The site columns of an event of another layer at ``frame``; None while not recording."""
        if self._patches is None:
            return None
        return self._context.where(frame, self._context.state())

    def in_phase(self, phase: Phase) -> Callable[[], None]:
        """The calling thread is in ``phase`` until what is returned is called."""
        state = self._context.state()
        before, state.phase = state.phase, int(phase)

        def leave() -> None:
            state.phase = before

        return leave

    def contexts(self) -> dict[str, int]:
        """Not told apart by TensorFlow, which takes every visible GPU."""
        return {}

    def hardware(self) -> dict[str, object]:
        """Nothing is asked of the device."""
        return {}


def _gpus() -> list[Any]:
    installation = active()
    if installation is not None:
        return list(range(installation.spec.count))
    return list(tf.config.list_physical_devices("GPU"))


def _kernels() -> KernelTable:
    installation = active()
    if installation is not None:
        return installation.kernels
    return KernelTable.from_registry(registry.get_all_registered_kernels().kernel)
