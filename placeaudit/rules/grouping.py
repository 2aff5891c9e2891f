"""Findings that belong together: one rule in one function, for lists too long to read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from placeaudit.model import Finding

__all__ = ["FindingGroup", "group", "grouped"]


@dataclass(frozen=True, slots=True)
class FindingGroup:
    """The worst finding of one rule and severity in one function, and its other ones there."""

    lead: Finding
    others: tuple[Finding, ...] = ()


def group(findings: Iterable[Finding]) -> tuple[FindingGroup, ...]:
    """``findings`` by rule, severity, file and function, in the order of each group's first.

    What stands nowhere in the source (a note on the record) stays by itself.
    """
    found: dict[tuple[str, ...], list[Finding]] = {}
    for finding in findings:
        place = (finding.file, finding.function) if finding.file else (finding.message,)
        key = (finding.rule, finding.severity.value, *place)
        found.setdefault(key, []).append(finding)
    return tuple(FindingGroup(first, tuple(rest)) for first, *rest in found.values())


def grouped(findings: Sequence[Finding], *, above: int | None) -> tuple[FindingGroup, ...]:
    """Groups where there are more findings than ``above``; else, or if None, each by itself."""
    if above is None or len(findings) <= above:
        return tuple(FindingGroup(finding) for finding in findings)
    return group(findings)
