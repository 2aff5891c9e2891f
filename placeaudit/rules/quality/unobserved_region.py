"""PA902: a region that could not be observed."""

from __future__ import annotations

from collections.abc import Iterable

from placeaudit.model import Finding, Severity
from placeaudit.rules.facts import Facts
from placeaudit.rules.quality.notes import from_notes

__all__ = ["UnobservedRegion"]


class UnobservedRegion:
    """A region that could not be observed.

    What it does
        Says where copies and waits stay unseen or cannot be placed: captured graphs, compiled
        functions, backward nodes without a Python line.

    Why it costs
        Nothing is known about copies in there; the report is not clean, but blind at that place.

    Example:
        ::

            graph.replay()

    Use instead
        Trace once with compilation or capture switched off.

    When it is fine
        When the region is known to make no copies.
    """

    code = "PA902"
    name = "unobserved-region"
    severity = Severity.INFO

    def check(self, facts: Facts) -> Iterable[Finding]:
        """One finding for each note of the record."""
        return from_notes(self, facts, "trace once with compilation or graph capture switched off")
