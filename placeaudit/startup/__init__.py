"""Where a new interpreter begins that an audited or simulating program started.

See :mod:`placeaudit.inherit` for how it gets here.  Beginning costs such a process next to nothing
before it imports torch or tensorflow: only then it simulates and records as its parent does.
"""

from __future__ import annotations

import os
import sys

from placeaudit.import_hook import FRAMEWORKS, ImportHook, is_imported
from placeaudit.inherit import (
    OWN_VARIABLE,
    RUN_VARIABLE,
    SIMULATE_VARIABLE,
    STEPS_VARIABLE,
    hand_down,
)

TYPE_CHECKING = False  # nothing is imported that need not be
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

__all__ = ["begin", "begin_spawned"]


class _Waiting:
    """What waits for the import of a framework in this process."""

    hooks: Final[list[ImportHook]] = []

    @classmethod
    def install(cls, then: Callable[[], None]) -> None:
        """Call ``then`` at the first such import."""

        def once() -> None:
            cls.remove()
            then()

        for framework in FRAMEWORKS:
            hook = ImportHook(framework, once)
            hook.install()
            cls.hooks.append(hook)

    @classmethod
    def remove(cls) -> None:
        """Wait no more."""
        while cls.hooks:
            cls.hooks.pop().remove()


def begin() -> None:
    """In a new interpreter: record, or simulate, from the import of a framework on."""
    names = (RUN_VARIABLE, OWN_VARIABLE, STEPS_VARIABLE, SIMULATE_VARIABLE)
    inherited = {name: os.environ[name] for name in names if name in os.environ}
    if not inherited:
        return
    # This process's own children, should it never import torch itself: a launcher.
    hand_down(inherited)
    _Waiting.install(_framework_imported)


def begin_spawned() -> None:
    """In a child of ``multiprocessing``: record from now on."""
    _Waiting.remove()
    if os.environ.get(RUN_VARIABLE):
        _record("spawn")
    elif any(is_imported(framework) for framework in FRAMEWORKS):
        _simulate()
    else:
        _Waiting.install(_simulate)


def _framework_imported() -> None:
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
    from placeaudit.errors import PlaceauditError, SimulationError
    from placeaudit.simulate.frameworks import begin as simulate
    from placeaudit.simulate.spec import SimulationSpec

    def unsimulated(_: SimulationError) -> None:
        """The process sees the devices that are there."""

    try:
        simulate(SimulationSpec.parse(text), unsimulated)
    except PlaceauditError:
        return  # as above
