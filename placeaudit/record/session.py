"""A recording session: owns the writer and the sources, and sees that the record gets closed."""

from __future__ import annotations

import atexit
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from placeaudit.record import children
from placeaudit.record.backends import Backends
from placeaudit.record.clock import now_ns
from placeaudit.record.ranks import launched_as
from placeaudit.record.sites import Sites
from placeaudit.record.window import DEFAULT, StepWindow
from placeaudit.store.part import copy_part
from placeaudit.store.writer import RecordWriter

__all__ = ["Session", "current", "mark_step"]


#: Notes about children that are not observed.
MOST_UNOBSERVED: Final = 20


class _Running:
    """The session of this process."""

    session: Session | None = None


class Session:
    """Records this process until :meth:`stop`; one at a time.

    >>> session = Session.start(run)
    >>> train()
    >>> session.stop()
    """

    def __init__(
        self,
        run: Path,
        *,
        role: str,
        own: Sequence[str],
        steps: StepWindow = DEFAULT,
        placement_log: bool = False,
    ) -> None:
        self.run: Final = run
        self._own = tuple(own)
        self._lock = threading.RLock()
        self._stopped = False
        self._forked = False
        self._exit_code: int | None = None
        self._writer = RecordWriter(run, role=role)
        self._writer.facts.update(launched_as())
        self._sites = Sites(self._writer)
        self._backends = Backends(
            self._writer,
            self._sites,
            is_child=role != "main",
            steps=steps,
            placement_log=placement_log,
        )
        self._undo: list[Callable[[], None]] = []
        self._steps = steps
        #: What was said of child processes that are not observed.
        self._unobserved: set[tuple[str, int]] = set()

    @classmethod
    def start(
        cls,
        run: Path,
        *,
        role: str = "main",
        own: Sequence[str] = (),
        steps: StepWindow = DEFAULT,
        placement_log: bool = False,
    ) -> Session:
        """Begin to record into the run directory ``run`` (see ``create_run``).

        ``role`` is what this process is in the run; ``own`` names installed packages that count
        as the user's; ``steps`` are those of which every operation is recorded.  The sources arm
        themselves once their framework is imported.  ``placement_log`` captures TensorFlow's own
        log of this process as a cross-check.

        Raises:
            OSError: the record cannot be written.
        """
        if _Running.session is not None:
            _Running.session.stop()
        session = cls(run.absolute(), role=role, own=own, steps=steps, placement_log=placement_log)
        if role == "main":
            session._writer.start()
        else:
            session._writer.start_lazily()
        _Running.session = session
        session._watch_the_end()
        session._undo.append(session._follow())
        session._backends.arm()
        return session

    def _follow(self) -> Callable[[], None]:
        return children.follow(self, self.run, own=self._own, steps=self._steps)

    def stop(self, *, exit_code: int | None = None) -> None:
        """Undo every patch, write what is left and close the record.  Idempotent."""
        with self._lock:
            if self._stopped:
                return
            self._stopped = True
            ending = self._ending()
            self._set_role()
            try:
                self._backends.disarm()
            except Exception as error:  # noqa: BLE001  (the program has ended well; so does the record)
                self._writer.note("PA903", f"recording did not end cleanly: {error!r}")
            for undo in reversed(self._undo):
                undo()
            self._undo.clear()
            if _Running.session is self:
                _Running.session = None
            if exit_code is None:
                exit_code = self._exit_code
            self._writer.close(exit_code=exit_code, **ending)

    def settle(self) -> None:
        """Hand out what is held back and write everything: somebody is about to read."""
        self._backends.settle()
        self._writer.flush()

    def write_part(self, target: Path, start_ns: int) -> None:
        """Write what has happened since ``start_ns`` into the run ``target``, and record on.

        Raises:
            OSError: ``target`` cannot be written.
        """
        end_ns = now_ns()
        self.settle()
        copy_part(self.run, target, start_ns, end_ns)

    def rearm(self) -> None:
        """Look for accelerators again, after a simulated device was installed."""
        self._backends.rearm()

    def mark_step(self) -> None:
        """The program says that a step ends here."""
        self._backends.mark_step()

    def before_fork(self) -> None:
        """This process is about to fork."""
        self._backends.before_fork()
        self._writer.before_fork()

    def after_fork_in_parent(self) -> None:
        """It has."""
        self._writer.after_fork_in_parent()
        self._backends.after_fork_in_parent()

    def after_fork(self) -> None:
        """In a forked child: from here on this is another process with its own record."""
        self._forked = True
        self._lock = threading.RLock()
        self._writer.after_fork("fork")
        self._sites.forget()
        self._backends.after_fork()

    def close_child(self) -> None:
        """At the end of a child that ``multiprocessing`` made: no ``atexit`` runs there.

        A forked one only closes its record: PyTorch's locks, which taking kernels away needs, may
        be held by threads that are not there.
        """
        if not self._forked:
            self.stop()
            return
        self._set_role()
        self._writer.close(exit_code=None, **self._ending())

    def unobserved(self, text: str) -> None:
        """A child process is not observed: say so, once for each reason and place."""
        stack = self._sites.capture(sys._getframe(1))  # noqa: SLF001
        if (text, stack) not in self._unobserved and len(self._unobserved) < MOST_UNOBSERVED:
            self._unobserved.add((text, stack))
            self._writer.note("PA903", text, stack)

    def before_exec(self) -> None:
        """This process is about to become another program: no end of ours will come."""
        self._writer.flush()

    def _ending(self) -> dict[str, object]:
        """Devices this process has initialised and what they are; None where it cannot be told."""
        try:
            return {"contexts": self._backends.contexts(), "hardware": self._backends.hardware()}
        except Exception as error:  # noqa: BLE001  (the record closes all the same)
            self._writer.note("PA903", f"initialised devices could not be listed: {error!r}")
            return {"contexts": None}

    def _set_role(self) -> None:
        if self._writer.role in {"fork", "spawn"} and self._backends.is_loader_worker():
            self._writer.role = "loader"

    def _watch_the_end(self) -> None:
        """Close the record when the interpreter ends.

        No signal handler: one in Python would keep a program that is busy in C from dying of
        SIGTERM at once.  A killed process keeps what was flushed, at most half a second old.
        """
        atexit.register(self._at_exit)
        self._undo.append(lambda: atexit.unregister(self._at_exit))

    def _at_exit(self) -> None:
        self.stop()


def current() -> Session | None:
    """The session that records this process, if one does."""
    return _Running.session


def mark_step() -> None:
    """Mark the end of a step, where steps cannot be told; nothing without a session."""
    session = _Running.session
    if session is not None:
        session.mark_step()
