"""PA903: a mechanism that was unavailable."""

from __future__ import annotations

from collections.abc import Iterable

from placeaudit.model import Finding, Severity
from placeaudit.rules.facts import Facts
from placeaudit.rules.quality.notes import from_notes

__all__ = ["MissingMechanism"]


class MissingMechanism:
    """A mechanism of recording was unavailable.

    What it does
        Names what could not be used here and why, such as a torch version that lacks it.

    Why it costs
        Findings that need the mechanism are missing; they are unknown, not absent.

    Example:
        ::

            pip install torch==2.0

    Use instead
        A supported version or platform, as the note says.

    When it is fine
        When the missing findings do not matter.
    """

    code = "PA903"
    name = "missing-mechanism"
    severity = Severity.INFO

    def check(self, facts: Facts) -> Iterable[Finding]:
        """One finding for each note of the record."""
        return from_notes(self, facts, "see the reason given")
