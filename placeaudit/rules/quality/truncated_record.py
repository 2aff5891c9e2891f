"""PA901: the record is not whole."""

from __future__ import annotations

from collections.abc import Iterable

from placeaudit.model import Finding, Severity
from placeaudit.rules.facts import Facts
from placeaudit.rules.quality.notes import from_notes

__all__ = ["TruncatedRecord"]


class TruncatedRecord:
    """The record of a process is cut or was limited.

    What it does
        Says that a process did not end its record regularly, or that a limit was reached.

    Why it costs
        What happened after the cut is not in the report; nothing there is known to be clean.

    Example:
        ::

            kill -9 <pid of the traced program>

    Use instead
        End the program regularly, or trace fewer steps.

    When it is fine
        When only the beginning of the run matters.
    """

    code = "PA901"
    name = "truncated-record"
    severity = Severity.INFO

    def check(self, facts: Facts) -> Iterable[Finding]:
        """One finding for each note of the record."""
        return from_notes(self, facts, "trace again and let the program end, or trace fewer steps")
