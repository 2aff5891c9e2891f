"""Findings that belong together: one rule in one function, for lists too long to read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from placeaudit.model import Finding

__all__ = ["FindingGroup", "group", "grouped"]

#: A finding, or what a reporter knows it by.
Entry = TypeVar("Entry")


@dataclass(frozen=True, slots=True)
class FindingGroup(Generic[Entry]):
    """The worst finding of one rule and severity in one function, and its other ones there."""

    lead: Entry
    others: tuple[Entry, ...] = ()


def _itself(entry: Any) -> Finding:
    assert isinstance(entry, Finding)
    return entry


def group(
    entries: Iterable[Entry], of: Callable[[Entry], Finding] = _itself
) -> tuple[FindingGroup[Entry], ...]:
    """``entries`` by rule, severity, file and function, in the order of each group's first.

    ``of`` gives an entry's finding.  What stands nowhere in the source (a note on the record) stays
    by itself.
    """
    found: dict[tuple[str, ...], list[Entry]] = {}
    for entry in entries:
        finding = of(entry)
        place = (finding.file, finding.function) if finding.file else (finding.message,)
        key = (finding.rule, finding.severity.value, *place)
        found.setdefault(key, []).append(entry)
    return tuple(FindingGroup(first, tuple(rest)) for first, *rest in found.values())


def grouped(
    entries: Sequence[Entry], *, above: int | None, of: Callable[[Entry], Finding] = _itself
) -> tuple[FindingGroup[Entry], ...]:
    """Groups where there are more entries than ``above``; else, or if None, each by itself."""
    if above is None or len(entries) <= above:
        return tuple(FindingGroup(entry) for entry in entries)
    return group(entries, of)
