"""A session in a process that an audited program started, as the environment says."""

from __future__ import annotations

import os
from pathlib import Path

from placeaudit.errors import PlaceauditError
from placeaudit.inherit import OWN_VARIABLE, RUN_VARIABLE, STEPS_VARIABLE
from placeaudit.record.children import close_at_end
from placeaudit.record.session import Session, current
from placeaudit.record.window import DEFAULT, StepWindow, parse_steps

__all__ = ["activate"]


def activate(role: str) -> None:
    """Start a session of this role ("spawn", "subprocess"), if the environment asks for one.

    Where the run is gone (its record was a temporary one), nothing is recorded.
    """
    run = Path(os.environ.get(RUN_VARIABLE, ""))
    if current() is not None or not run.is_absolute() or not run.is_dir():
        return
    own = [name for name in os.environ.get(OWN_VARIABLE, "").split(",") if name]
    session = Session.start(run, role=role, own=own, steps=_steps())
    close_at_end(session)


def _steps() -> StepWindow:
    try:
        return parse_steps(os.environ.get(STEPS_VARIABLE, ""))
    except PlaceauditError:  # set by somebody else
        return DEFAULT
