"""What the notes of a record become: one informational finding each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from placeaudit.model import Certainty, Finding, Severity

if TYPE_CHECKING:
    from placeaudit.rules.base import Rule
    from placeaudit.rules.facts import Facts

__all__ = ["from_notes"]


def from_notes(
    rule: Rule, facts: Facts, fix: str, special: Mapping[str, str] | None = None
) -> Iterator[Finding]:
    """A finding for each note with the rule's code; line 0 of no file where it has no place.

    ``special`` has another fix for notes that contain its key.
    """
    for note in facts.audit.notes:
        if note.rule != rule.code:
            continue
        frame = note.frame
        yield Finding(
            rule=rule.code,
            name=rule.name,
            severity=Severity.INFO,
            certainty=Certainty.UNKNOWN,
            message=note.text,
            fix=next((s for key, s in (special or {}).items() if key in note.text), fix),
            file=frame.file if frame else "",
            line=frame.line if frame else 0,
            end_line=frame.end_line if frame else -1,
            col=frame.col if frame else -1,
            function=frame.function if frame else "",
            count=1,
        )
