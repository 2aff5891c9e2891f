"""Which steps the operation window covers: ``--steps A:B`` or ``--steps all``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from placeaudit.errors import UsageError

__all__ = ["DEFAULT", "StepWindow", "parse_steps"]

_RANGE: Final = re.compile(r"(\d+):(\d*)")


@dataclass(frozen=True, slots=True)
class StepWindow:
    """Steps ``first`` up to, not including, ``last``; counted from 0; None: to the end."""

    first: int
    last: int | None
    #: Whether somebody asked for just these steps.
    chosen: bool = True

    def __contains__(self, step: int) -> bool:
        return self.first <= step and (self.last is None or step < self.last)

    def __str__(self) -> str:
        if self.first == 0 and self.last is None:
            return "all"
        return f"{self.first}:{'' if self.last is None else self.last}"


#: Three warm steps: in the first two allocators, lazy state and autotuning settle.
DEFAULT: Final = StepWindow(2, 5, chosen=False)


def parse_steps(text: str) -> StepWindow:
    """The window that ``text`` names: ``"10:13"``, ``"10:"``, ``"all"``; "" is the default.

    Raises:
        UsageError: it names none.
    """
    if not text:
        return DEFAULT
    if text.strip().lower() == "all":
        return StepWindow(0, None)
    found = _RANGE.fullmatch(text.strip())
    if found is None:
        raise UsageError(
            f"{text!r} is no range of steps: write A:B (from step A up to, not "
            "including, B, counted from 0) or all"
        )
    first, last = int(found[1]), int(found[2]) if found[2] else None
    if last is not None and last <= first:
        raise UsageError(f"{text!r} holds no step: B must be greater than A")
    return StepWindow(first, last)
