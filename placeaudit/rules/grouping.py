"""Findings that belong together: one rule in one function, for lists too long to read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from placeaudit.model import Finding

__all__ = ["FindingGroup", "group"]


@dataclass(frozen=True, slots=True)
class FindingGroup:
    """The worst finding of one rule and severity in one function, and its other ones there."""

    lead: Finding
    others: tuple[Finding, ...] = ()


def group(findings: Iterable[Finding]) -> tuple[FindingGroup, ...]:
    """``findings`` by rule, severity, file and function, in the order of each group's first."""
    found: dict[tuple[str, str, str, str], list[Finding]] = {}
    for finding in findings:
        key = finding.rule, finding.severity.value, finding.file, finding.function
        found.setdefault(key, []).append(finding)
    return tuple(FindingGroup(first, tuple(rest)) for first, *rest in found.values())
