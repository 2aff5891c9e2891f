"""Child processes record into the same run.

* ``fork`` (``os.fork``, ``multiprocessing``, DataLoader workers): a hook in the child drops what it
  inherited; it begins its own record at its first event, so a child that records nothing leaves
  nothing behind.
* ``multiprocessing`` children end by ``os._exit``, where ``atexit`` does not run: a ``Finalize``
  closes their record.
* New interpreters begin as :mod:`placeaudit.inherit` says; what they record into, it is told here.
"""

from __future__ import annotations

import multiprocessing.util
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from placeaudit.inherit import OWN_VARIABLE, RUN_VARIABLE, STEPS_VARIABLE, hand_down
from placeaudit.record.window import DEFAULT, StepWindow

__all__ = ["Recorder", "close_at_end", "follow"]


class Recorder(Protocol):
    """The session of a process, as its children need it."""

    def before_fork(self) -> None:
        """This process is about to fork."""

    def after_fork_in_parent(self) -> None:
        """It has."""

    def after_fork(self) -> None:
        """In a forked child."""

    def close_child(self) -> None:
        """At the end of a child that ``multiprocessing`` made."""

    def unobserved(self, text: str) -> None:
        """A Python child was started that inherits nothing; ``text`` says why."""

    def before_exec(self) -> None:
        """This process is about to become another program."""


class _Followed:
    """The session whose forked children are to record; fork hooks cannot be taken back."""

    recorder: Recorder | None = None
    registered = False


def follow(
    recorder: Recorder, run: Path, *, own: Sequence[str] = (), steps: StepWindow = DEFAULT
) -> Callable[[], None]:
    """Make children of this process record into ``run``; returns the undo."""
    _Followed.recorder = recorder
    if not _Followed.registered:
        _Followed.registered = True
        os.register_at_fork(
            before=_before_fork, after_in_parent=_in_parent, after_in_child=_in_forked_child
        )
    # Called by multiprocessing in its children, after it has dropped the parent's finalizers.
    multiprocessing.util.register_after_fork(recorder, close_at_end)
    forget = hand_down(
        {
            RUN_VARIABLE: str(run),
            OWN_VARIABLE: ",".join(own),
            STEPS_VARIABLE: str(steps) if steps.chosen else "",
        },
        recorder,
    )

    def undo() -> None:
        forget()
        if _Followed.recorder is recorder:
            _Followed.recorder = None

    return undo


def close_at_end(recorder: Recorder) -> None:
    """Close the record of this process when ``multiprocessing`` ends it."""
    if _Followed.recorder is recorder:
        multiprocessing.util.Finalize(None, recorder.close_child, exitpriority=-100)


def _before_fork() -> None:
    if _Followed.recorder is not None:
        _Followed.recorder.before_fork()


def _in_parent() -> None:
    if _Followed.recorder is not None:
        _Followed.recorder.after_fork_in_parent()


def _in_forked_child() -> None:
    recorder = _Followed.recorder
    if recorder is not None:
        recorder.after_fork()
