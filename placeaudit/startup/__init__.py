"""Where a new interpreter begins that an audited or simulating program started.

See :mod:`placeaudit.inherit` for how it gets here.  Beginning costs such a process next to nothing
before it imports torch: only then it simulates and records as its parent does.
"""

from __future__ import annotations

import os
import sys
from typing import Final

from placeaudit.import_hook import ImportHook
from placeaudit.inherit import (
    OWN_VARIABLE,
    RUN_VARIABLE,
    SIMULATE_VARIABLE,
    STEPS_VARIABLE,
    hand_down,
)

__all__ = ["begin", "begin_spawned"]


class _Waiting:
    """What waits for the import of torch in this process."""

    hook: ImportHook | None = None


def begin() -> None:
    """In a new interpreter: record, or simulate, from the import of torch on."""
    names = (RUN_VARIABLE, OWN_VARIABLE, STEPS_VARIABLE, SIMULATE_VARIABLE)
    inherited = {name: os.environ[name] for name in names if name in os.environ}
    if not inherited:
        return
    # This process's own children, should it never import torch itself: a launcher.
    hand_down(inherited)
    hook = _Waiting.hook = ImportHook("torch", _torch_imported)
    hook.install()


def begin_spawned() -> None:
    """In a child of ``multiprocessing``: record from now on."""
    if _Waiting.hook is not None:
        _Waiting.hook.remove()
        _Waiting.hook = None
    if os.environ.get(RUN_VARIABLE):
        _record("spawn")
    elif "torch" in sys.modules:
        _simulate()
    else:
        ImportHook("torch", _simulate).install()


def _torch_imported() -> None:
    if "placeaudit.__main__" in sys.modules or _is_command():
        return  # this process is our own command: what it records and simulates is its own affair
    if os.environ.get(RUN_VARIABLE):
        _record("subprocess")
    else:
        _simulate()


def _is_command() -> bool:
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    return spec is not None and spec.name == "placeaudit.__main__"


def _record(role: str) -> None:
    try:
        from placeaudit.record.activation import activate

        activate(role)
    except Exception as error:  # noqa: BLE001  (the program runs on, and there is no record to say so)
        sys.stderr.write(f"placeaudit: process {os.getpid()} is not recorded: {error!r}\n")


def _simulate() -> None:
    text: Final = os.environ.get(SIMULATE_VARIABLE, "")
    if not text:
        return
    from placeaudit.errors import PlaceauditError
    from placeaudit.simulate import torch_cuda
    from placeaudit.simulate.spec import SimulationSpec

    if torch_cuda.active() is not None:
        return
    try:
        torch_cuda.install(SimulationSpec.parse(text))
    except PlaceauditError:
        return  # the process sees the devices that are there
