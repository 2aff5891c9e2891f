"""Which sources are used in this process, which are not, and why (PA903).

A source arms itself when its framework gets imported: a Torch program never loads another one.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, Final, Protocol

from placeaudit.errors import PlaceauditError
from placeaudit.import_hook import FRAMEWORKS, ImportHook, is_imported
from placeaudit.inherit import SIMULATE_VARIABLE
from placeaudit.model import Phase
from placeaudit.record.sites import Sites
from placeaudit.record.vector_library import VectorLibrary
from placeaudit.record.vector_source import VectorSource, Where
from placeaudit.record.window import DEFAULT, StepWindow
from placeaudit.simulate.frameworks import install
from placeaudit.store.writer import RecordWriter

if TYPE_CHECKING:
    from placeaudit.record.tensorflow.gate import Gate
    from placeaudit.record.torch.interception import Interception

__all__ = ["Backends", "GuardBackend", "Source"]


class Source(Protocol):
    """Something that records events of one framework."""

    def arm(self) -> None:
        """Begin; harmless where it has begun."""

    def disarm(self) -> None:
        """Undo everything."""

    def note_if_unused(self) -> None:
        """At the end of the run: note why nothing was seen, where nothing was."""

    def before_fork(self) -> None:
        """The process is about to fork."""

    def after_fork_in_parent(self) -> None:
        """It has."""

    def after_fork(self) -> None:
        """In a forked child: forget what belongs to the parent."""

    def is_loader_worker(self) -> bool:
        """Whether this process loads data for another."""

    def mark_step(self, *, written: bool) -> bool:
        """The program says that a step ends; whether the record holds it now, and did before."""

    def settle(self) -> None:
        """Hand out the rows that are held back."""

    def where(self, frame: FrameType) -> Where | None:
        """The site columns of an event of another layer at ``frame``; None while not recording."""
        ...

    def in_phase(self, phase: Phase) -> Callable[[], None]:
        """The calling thread is in ``phase`` until what is returned is called."""
        ...

    def contexts(self) -> dict[str, int]:
        """Devices this process has initialised, with the bytes allocated there so far."""
        ...

    def hardware(self) -> dict[str, object]:
        """What is known of these devices: memory, and which reach each other's."""
        ...


class Backends:
    """The sources of one session."""

    def __init__(
        self,
        writer: RecordWriter,
        sites: Sites,
        *,
        is_child: bool = False,
        steps: StepWindow = DEFAULT,
        placement_log: bool = False,
    ) -> None:
        self._writer = writer
        self._sites = sites
        self._is_child = is_child
        self._steps = steps
        self._placement_log = placement_log
        self._sources: list[Source] = []
        self._hooks: list[ImportHook] = []
        self._vectors = VectorSource(writer, sites, self)
        self._vector_library = VectorLibrary(self._vectors, writer, sites, self)

    def arm(self) -> None:
        """Arm what is imported already and wait for the import of what is not."""
        self._vectors.arm()
        self._vector_library.arm()
        for framework in FRAMEWORKS:
            if is_imported(framework):
                self._arm(framework)
            else:
                hook = ImportHook(framework, functools.partial(self._arm, framework))
                hook.install()
                self._hooks.append(hook)

    def rearm(self) -> None:
        """Look again: a simulated device was installed or is gone."""
        for source in self._sources:
            source.arm()

    def disarm(self) -> None:
        """Undo everything, the latest first."""
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()
        self._vector_library.disarm()
        self._vectors.disarm()
        for source in reversed(self._sources):
            if not self._is_child:
                source.note_if_unused()
            source.disarm()
        if not self._sources and not self._is_child:
            self._writer.note(
                "PA903", "neither torch nor tensorflow was imported: there was nothing to record"
            )
        if self._placement_log and not is_imported("tensorflow"):
            self._writer.note("PA903", "no device-placement log: tensorflow was not imported")
        self._sources.clear()

    def before_fork(self) -> None:
        """The process is about to fork."""
        for source in self._sources:
            source.before_fork()

    def after_fork_in_parent(self) -> None:
        """It has."""
        for source in self._sources:
            source.after_fork_in_parent()

    def after_fork(self) -> None:
        """In a forked child."""
        self._is_child = True
        self._vectors.after_fork()
        self._vector_library.after_fork()
        for source in self._sources:
            source.after_fork()

    def is_loader_worker(self) -> bool:
        """Whether this process loads data for another."""
        return any(source.is_loader_worker() for source in self._sources)

    def mark_step(self) -> None:
        """The program says that a step ends."""
        written = False  # one step, however many frameworks there are
        for source in self._sources:
            written = source.mark_step(written=written)

    def settle(self) -> None:
        """Hand out the rows that are held back."""
        for source in self._sources:
            source.settle()

    def where(self, frame: FrameType) -> Where:
        """The site columns of an event at ``frame``, of the framework that knows its phase."""
        found: Where | None = None
        for source in self._sources:
            known = source.where(frame)
            if known is not None and (found is None or known[2] != int(Phase.OTHER)):
                found = known
        if found is not None:
            return found
        return self._sites.capture(frame), threading.get_native_id(), int(Phase.OTHER), -1, 0

    def in_phase(self, phase: Phase) -> Callable[[], None]:
        """The calling thread is in ``phase``, in every framework, until the result is called."""
        leave = [source.in_phase(phase) for source in self._sources]

        def leave_all() -> None:
            for each in leave:
                each()

        return leave_all

    def contexts(self) -> dict[str, int]:
        """Devices this process has initialised, with the bytes allocated there so far."""
        return {k: v for source in self._sources for k, v in source.contexts().items()}

    def hardware(self) -> dict[str, object]:
        """What is known of these devices: memory, and which reach each other's."""
        return {k: v for source in self._sources for k, v in source.hardware().items()}

    def _arm(self, framework: str) -> None:
        try:
            self._install_simulation(framework)
            source = self._source(framework)
            self._sources.append(source)
            source.arm()
        except Exception as error:  # noqa: BLE001  (the program runs on, unobserved, and we say so)
            self._writer.note("PA903", f"recording {framework} failed to start: {error!r}")

    def _source(self, framework: str) -> Source:
        if framework == "torch":
            from placeaudit.record.torch.source import TorchSource

            return TorchSource(self._writer, self._sites, self._steps)
        from placeaudit.record.tensorflow.source import TensorflowSource

        return TensorflowSource(self._writer, self._sites, placement_log=self._placement_log)

    def _install_simulation(self, framework: str) -> None:
        """In a child process: the devices that the parent simulates."""
        text = os.environ.get(SIMULATE_VARIABLE, "")
        if not (self._is_child and text):
            return
        from placeaudit.simulate.spec import SimulationSpec

        try:
            install(framework, SimulationSpec.parse(text))
        except PlaceauditError as error:
            self._writer.note("PA903", f"no simulated device in this process: {error}")


class GuardBackend:
    """Guards in the frameworks of this process; waits for the import of what is not there yet."""

    def __init__(self) -> None:
        self._hooks: dict[str, ImportHook] = {}

    def begin(self) -> None:
        """The first guard was entered."""
        for framework in FRAMEWORKS:
            if is_imported(framework):
                self._of(framework).begin()
            elif framework not in self._hooks:
                hook = ImportHook(framework, functools.partial(self._begin, framework))
                self._hooks[framework] = hook
                hook.install()

    def end(self) -> None:
        """The last one was left."""
        while self._hooks:
            self._hooks.popitem()[1].remove()
        for framework, module in _GUARDED.items():
            if module in sys.modules:
                self._of(framework).end()

    def rearm(self) -> None:
        """A simulated device was installed."""
        for framework in FRAMEWORKS:
            if is_imported(framework):
                self._of(framework).rearm()

    def _begin(self, framework: str) -> None:
        self._of(framework).begin()

    @staticmethod
    def _of(framework: str) -> Interception | Gate:
        if framework == "torch":
            from placeaudit.record.torch.interception import INTERCEPTION

            return INTERCEPTION
        from placeaudit.record.tensorflow.gate import GATE

        return GATE


#: Where what stands before a framework's copies is, once it stands there.
_GUARDED: Final = {
    "torch": "placeaudit.record.torch.interception",
    "tensorflow": "placeaudit.record.tensorflow.gate",
}
