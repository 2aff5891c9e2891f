"""PA902: a region that could not be observed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from placeaudit.model import Finding, Severity
from placeaudit.rules.facts import Facts
from placeaudit.rules.quality.notes import from_notes

__all__ = ["UnobservedRegion"]

#: By what the note says, where compilation is not what hides it.
_FIXES: Final = {
    "ran in another process": "run `placeaudit trace` on that process's own command as well",
    "counted once a call": "trace once without the program's own profiler, and the profiler counts",
    "ever more rarely": "nothing: the counts of the calls in between are estimates",
    "options of its own": "trace once without `options` and `run_metadata`",
}


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
        return from_notes(
            self, facts, "trace once with compilation or graph capture switched off", _FIXES
        )
