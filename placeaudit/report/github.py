"""Annotations of a GitHub workflow: one command a line, worst first.

GitHub keeps ten annotations of a kind (error, warning, notice) a step and drops the rest without a
word; so what goes beyond is written as plain lines of the log, and the last annotation says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from typing import Final

from placeaudit.model import Severity
from placeaudit.report.base import Result
from placeaudit.report.places import Placed, column, placed
from placeaudit.report.units import estimated, plural, sentence
from placeaudit.rules.grouping import grouped
from placeaudit.verdict.paths import ProjectPaths

__all__ = ["KEPT", "GithubReporter"]

#: Annotations of one kind that GitHub keeps of a step.
KEPT: Final = 10


class GithubReporter:
    """Writes workflow commands for stray findings.  What is only worth knowing is counted."""

    def __init__(self, *, kept: int = KEPT, paths: ProjectPaths | None = None) -> None:
        self._kept = kept
        self._paths = paths or ProjectPaths()

    def render(self, results: Sequence[Result]) -> str:
        """The commands of all records, then what was cut."""
        lines = [
            _command("warning", result.headline.text, title="placeaudit")
            for result in results
            if result.headline.state == "unknown"
        ]
        used = Counter({"warning": len(lines)})
        cut: list[Placed] = []
        found = placed(results, self._paths)
        for entry in _spread(found, self._kept):
            kind = _KIND[entry.finding.severity]
            if kind == "notice":
                continue
            if used[kind] >= self._kept:
                cut.append(entry)
                continue
            used[kind] += 1
            lines.append(_annotation(entry, kind))
        lines += [_line(entry) for entry in cut]
        summary = self._summary(found, cut)
        if summary:
            lines.append(_command("notice", summary, title="placeaudit"))
        return "".join(f"{line}\n" for line in lines)

    def _summary(self, found: Sequence[Placed], cut: Sequence[Placed]) -> str:
        infos = sum(1 for entry in found if not entry.finding.is_stray)
        parts = []
        if cut:
            rules = ", ".join(sorted({entry.finding.rule for entry in cut}))
            parts.append(
                f"{plural(len(cut), 'more finding')} ({rules}) without an annotation, as GitHub "
                f"keeps {self._kept} of a kind: see the log of this step"
            )
        if infos:
            parts.append(f"{plural(infos, 'finding')} worth knowing, not stray")
        return "; ".join(parts)


_KIND: Final = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}


def _spread(found: Sequence[Placed], kept: int) -> list[Placed]:
    """Where not all of a kind are kept, one of each rule and function before further ones of it."""
    ordered: list[Placed] = []
    for _, entries in groupby(found, key=lambda entry: entry.finding.severity):
        groups = grouped(tuple(entries), above=kept, of=lambda entry: entry.finding)
        ordered += [together.lead for together in groups]
        ordered += [entry for together in groups for entry in together.others]
    return ordered


def _annotation(entry: Placed, kind: str) -> str:
    finding = entry.finding
    properties: dict[str, str | int] = {}
    if entry.path:
        properties["file"] = entry.path
    if finding.line >= 1 and entry.path:
        properties["line"] = finding.line
        properties["endLine"] = max(finding.line, finding.end_line)
        # GitHub takes columns only for a range within one line.
        if column(entry) and finding.end_line <= finding.line:
            properties["col"] = column(entry)
    text = f"{finding.message}\nFix: {finding.fix}"
    if finding.estimate is not None:
        text += f"\n{sentence(' '.join(estimated(finding.estimate)))}"
    return _command(kind, text, **properties, title=f"{finding.rule} {finding.name}")


def _command(kind: str, text: str, **properties: str | int) -> str:
    listed = ",".join(f"{name}={_property(str(value))}" for name, value in properties.items())
    return f"::{kind} {listed}::{_data(text)}"


def _line(entry: Placed) -> str:
    """A plain line of the log; it cannot be read as a command, as it starts with a rule's code."""
    finding = entry.finding
    place = f" {entry.path}:{finding.line}" if entry.path else ""
    return " ".join(f"{finding.rule} {finding.name}{place}: {finding.message}".split())


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
