"""What the formats for other tools share: project paths, positions, stable fingerprints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from placeaudit.model import Finding
from placeaudit.report.base import Result
from placeaudit.report.units import count
from placeaudit.verdict.baseline import Key
from placeaudit.verdict.paths import ProjectPaths

__all__ = ["Placed", "column", "more_here", "placed"]

#: Lines of a group's other findings that are named.
_NAMED: Final = 8


@dataclass(frozen=True, slots=True)
class Placed:
    """A finding with the name of its file in the project.

    ``ordinal`` tells findings of one key apart, in order of lines: 1 for the first.
    """

    finding: Finding
    result: Result
    key: Key
    ordinal: int

    @property
    def path(self) -> str:
        """The file as the project names it, "" where the finding has none."""
        return self.key.path


def placed(results: Sequence[Result], paths: ProjectPaths) -> tuple[Placed, ...]:
    """The findings of all records, worst first; what several records share stands once."""
    first: dict[tuple[Key, int, int, str], tuple[Finding, Result]] = {}
    for result, finding in _ranked(results):
        path = paths.of(finding.file, result.audit.meta.cwd)
        # What stands nowhere (a note on the record) is told apart by what it says.
        text = "" if finding.file else finding.message
        place = Key(finding.rule, path, finding.function), finding.line, finding.col, text
        first.setdefault(place, (finding, result))
    ordinals: dict[tuple[Key, int, int, str], int] = {}
    seen: Counter[Key] = Counter()
    for place in sorted(first):
        seen[place[0]] += 1
        ordinals[place] = seen[place[0]]
    return tuple(
        Placed(finding, result, place[0], ordinals[place])
        for place, (finding, result) in first.items()
    )


def _ranked(results: Sequence[Result]) -> Iterator[tuple[Result, Finding]]:
    """Severity first; within one severity each record's own order, records side by side."""
    every = [
        (finding.severity.rank, position, number, result, finding)
        for number, result in enumerate(results)
        for position, finding in enumerate(result.findings)
    ]
    for *_, result, finding in sorted(every, key=lambda entry: entry[:3]):
        yield result, finding


def more_here(others: Sequence[Finding]) -> str:
    """``"and 3 more of it here: lines 4, 9"``: the other findings of a group."""
    lines = sorted({finding.line for finding in others})
    named = ", ".join(map(str, lines[:_NAMED])) + (", …" if len(lines) > _NAMED else "")
    return f"and {count(len(others))} more of it here: line{'s' * (len(lines) != 1)} {named}"


def column(found: Placed) -> int:
    """The 1-based column in characters, 0 where it is not known: columns are recorded in bytes."""
    finding = found.finding
    if finding.col < 0 or finding.line < 1:
        return 0
    lines = found.result.audit.sources.get(finding.file, "").split("\n")
    if finding.line > len(lines):
        return finding.col + 1
    before = lines[finding.line - 1].encode()[: finding.col]
    return len(before.decode(errors="replace")) + 1
