"""Child processes record into the same run.

* ``fork`` (``os.fork``, ``multiprocessing``, DataLoader workers): a hook in the child drops what it
  inherited; it begins its own record at its first event, so a child that records nothing leaves
  nothing behind.
* ``multiprocessing`` children end by ``os._exit``, where ``atexit`` does not run: a ``Finalize``
  closes their record.
* ``spawn`` and ``forkserver`` children are new interpreters: what ``multiprocessing`` sends them to
  prepare themselves carries an object that starts a session when it is unpickled.
"""

from __future__ import annotations

import multiprocessing.spawn
import multiprocessing.util
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

__all__ = ["OWN_VARIABLE", "RUN_VARIABLE", "activate", "follow"]

#: Environment variable with the run directory.
RUN_VARIABLE: Final = "PLACEAUDIT_RUN"
#: Environment variable with the installed packages that count as the user's, comma-separated.
OWN_VARIABLE: Final = "PLACEAUDIT_OWN"
_DATA_KEY: Final = "placeaudit"


class _Recorder(Protocol):
    def before_fork(self) -> None: ...
    def after_fork_in_parent(self) -> None: ...
    def after_fork(self) -> None: ...
    def close_child(self) -> None: ...


class _Followed:
    """The session whose forked children are to record; fork hooks cannot be taken back."""

    recorder: _Recorder | None = None
    registered = False


def follow(recorder: _Recorder, run: Path, *, own: Sequence[str] = ()) -> Callable[[], None]:
    """Make children of this process record into ``run``; returns the undo."""
    _Followed.recorder = recorder
    if not _Followed.registered:
        _Followed.registered = True
        os.register_at_fork(
            before=_before_fork, after_in_parent=_in_parent, after_in_child=_in_forked_child
        )
    # Called by multiprocessing in its children, after it has dropped the parent's finalizers.
    multiprocessing.util.register_after_fork(recorder, _close_at_end)
    environment = _set_environment({RUN_VARIABLE: str(run), OWN_VARIABLE: ",".join(own)})
    spawn = _patch_preparation()

    def undo() -> None:
        spawn()
        environment()
        if _Followed.recorder is recorder:
            _Followed.recorder = None

    return undo


def activate() -> None:
    """In a new interpreter: start a session as the environment says, if it says so."""
    from placeaudit.record.session import Session, current

    run = Path(os.environ.get(RUN_VARIABLE, ""))
    if current() is not None or not run.is_absolute() or not run.is_dir():
        return
    own = [name for name in os.environ.get(OWN_VARIABLE, "").split(",") if name]
    session = Session.start(run, role="spawn", own=own)
    _close_at_end(session)


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


def _close_at_end(recorder: _Recorder) -> None:
    if _Followed.recorder is recorder:
        multiprocessing.util.Finalize(None, recorder.close_child, exitpriority=-100)


def _set_environment(values: dict[str, str]) -> Callable[[], None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)

    def undo() -> None:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value

    return undo


#: Unpickling this in a child must work, and do nothing, where placeaudit cannot be imported.
_START: Final = """
try:
    from placeaudit.record.children import activate
except ImportError:
    pass
else:
    activate()
"""


class _Activation:
    """Starts a session where it is unpickled."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str, dict[str, Any]]]:
        return exec, (_START, {})


def _patch_preparation() -> Callable[[], None]:
    """Add the activation to what ``multiprocessing`` sends to a new interpreter."""
    original = multiprocessing.spawn.get_preparation_data

    def get_preparation_data(name: str) -> dict[str, Any]:
        data: dict[str, Any] = original(name)
        data[_DATA_KEY] = _Activation()
        return data

    multiprocessing.spawn.get_preparation_data = get_preparation_data

    def undo() -> None:
        if multiprocessing.spawn.get_preparation_data is get_preparation_data:
            multiprocessing.spawn.get_preparation_data = original

    return undo
