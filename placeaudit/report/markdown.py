"""Markdown for a comment on a pull request: the verdict, a table worst first, details folded."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Final

from placeaudit.model import Direction, Finding, Severity
from placeaudit.report.base import Result
from placeaudit.report.places import Placed, more_here, placed
from placeaudit.report.units import count, duration, estimated, plural, ranks, rate, size
from placeaudit.rules.grouping import FindingGroup, grouped
from placeaudit.verdict.paths import ProjectPaths

__all__ = ["MarkdownReporter", "cell", "prose"]

_MARK: Final = {Severity.ERROR: "🛑", Severity.WARNING: "⚠️", Severity.INFO: "ℹ️"}  # noqa: RUF001
_STATE: Final = {"unknown": "❔", "clean": "✅", "warning": "⚠️", "error": "🛑"}
#: GitHub refuses a comment of 65,536 characters.
_LONGEST: Final = 60_000
_ARROWS: Final = {Direction.H2D: "to device", Direction.D2H: "to host", Direction.D2D: "between"}


class MarkdownReporter:
    """Writes a comment.

    Args:
        limit: How many stray findings the table holds, groups counted as one where there are more;
            what was cut is said.
        paths: Names the files.
    """

    def __init__(self, *, limit: int = 20, paths: ProjectPaths | None = None) -> None:
        self._limit = limit
        self._paths = paths or ProjectPaths()

    def render(self, results: Sequence[Result]) -> str:
        """All records: a headline each, one table, the details folded."""
        found = placed(results, self._paths)
        strays = [entry for entry in found if entry.finding.is_stray]
        infos = [entry for entry in found if not entry.finding.is_stray]
        parts = [_headline(result) for result in results]
        groups = grouped(strays, above=self._limit, of=lambda entry: entry.finding)
        shown, rest = groups[: self._limit], groups[self._limit :]
        if strays:
            parts.append(_table(shown))
        left = [entry.finding for together in rest for entry in (together.lead, *together.others)]
        if left:
            rules = ", ".join(sorted({finding.rule for finding in left}))
            parts.append(f"… and {plural(len(left), 'more finding')} of smaller cost: {rules}.")
        if strays:
            details = [_details(together.lead) for together in shown]
            parts.append(_folded("Fixes and evidence", "\n\n".join(details)))
        if infos:
            rows = [_info(entry) for entry in infos]
            parts.append(_folded(f"{plural(len(infos), 'finding')} not stray", "\n".join(rows)))
        return _short(parts)


def _short(parts: Sequence[str]) -> str:
    """The parts as far as a comment may go: a part that does not fit is left out whole."""
    kept: list[str] = []
    length = 0
    for part in parts:
        if length + len(part) > _LONGEST:
            kept.append("_The rest is too long for a comment: see `placeaudit report`._")
            break
        kept.append(part)
        length += len(part) + 2
    return "\n\n".join(kept) + "\n"


def _headline(result: Result) -> str:
    meta, summary = result.audit.meta, result.summary
    state = result.headline.state
    lines = [f"### {_STATE[state]} placeaudit: {prose(result.headline.text)}"]
    facts = [f"`{_code(' '.join(meta.argv))}`"] if meta.argv else []
    if summary.devices:
        facts.append(", ".join(summary.devices) + (" simulated" if meta.simulated else ""))
    if summary.steps:
        facts.append(plural(summary.steps, "step"))
    for direction, label in _ARROWS.items():
        traffic = summary.traffic(direction)
        if traffic.count:
            copies = plural(traffic.count, "copy", "copies")
            facts.append(f"{copies} {label} ({size(traffic.bytes)})")
    if summary.blocked_s is not None and summary.waits:
        step_s = summary.step_blocked_s
        a_step = f", {duration(step_s)} a step" if step_s else ""
        facts.append(f"host waited {duration(summary.blocked_s)}{a_step} ({summary.basis})")
    return "\n\n".join([*lines, " · ".join(facts)] if facts else lines)


def _table(groups: Sequence[FindingGroup[Placed]]) -> str:
    rows = ["| | rule | where | what | cost |", "|---|---|---|---|---|"]
    for together in groups:
        entry, finding = together.lead, together.lead.finding
        others = [other.finding for other in together.others]
        message = finding.message + (f"; {more_here(others)}" if others else "")
        cells = (
            _MARK[finding.severity],
            f"{finding.rule} {finding.name}",
            _place(entry),
            cell(message),
            _cost(finding),
        )
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def _place(entry: Placed) -> str:
    if not entry.path:
        return "–"
    line = f":{entry.finding.line}" if entry.finding.line > 0 else ""
    return f"`{_code(entry.path)}{line}`".replace("|", "\\|")


def _cost(finding: Finding) -> str:
    parts = [rate(finding.per_step) or f"{count(finding.count)}×"]
    if finding.bytes:
        parts.append(size(finding.bytes))
    if finding.blocked_s:
        parts.append(f"blocks {duration(finding.blocked_s)} ({finding.blocked_basis})")
    if finding.estimate is not None:
        parts.append(" ".join(estimated(finding.estimate)))
    return ", ".join(parts)


def _details(entry: Placed) -> str:
    finding = entry.finding
    where = f" at {_place(entry)}" if entry.path else ""
    lines = [f"**{finding.rule} {finding.name}**{where} ({finding.severity}, {finding.certainty})"]
    lines += ["", f"* fix: {prose(finding.fix)}"]
    lines += [f"* {prose(fact.text)}" for fact in finding.evidence]
    lines += [
        f"* {prose(text)}: `{_code(frame.file.rpartition('/')[2])}:{frame.line}`"
        for text, frame in finding.related
    ]
    if finding.ranks:
        lines.append(f"* on {ranks(finding.ranks)}")
    if finding.blocked_s is not None:
        lines.append(f"* host blocked {duration(finding.blocked_s)} ({finding.blocked_basis})")
    return "\n".join(lines)


def _info(entry: Placed) -> str:
    finding = entry.finding
    where = f" {_place(entry)}" if entry.path else ""
    return f"* {finding.rule} {finding.name}{where}: {prose(finding.message)}"


def _folded(title: str, body: str) -> str:
    return f"<details>\n<summary>{title}</summary>\n\n{body}\n\n</details>"


def _code(text: str) -> str:
    """Text for between backticks: one line, without backticks of its own."""
    return " ".join(text.replace("`", "'").split())


def prose(text: str) -> str:
    """One line of text in which only backticks keep their meaning: no HTML, no mention, no link."""
    parts = " ".join(text.split()).split("`")
    if len(parts) % 2 == 0:  # a backtick without its fellow
        parts = ["'".join(parts)]
    return "`".join(
        part if in_code else part.translate(_ESCAPES)
        for part, in_code in zip(parts, itertools.cycle((False, True)), strict=False)
    )


_ESCAPES: Final = str.maketrans(
    {
        "&": "&amp;",
        "<": "&lt;",
        "@": "&#64;",
        "#": "&#35;",
        "*": "\\*",
        "_": "\\_",
        "[": "\\[",
    }
)


def cell(text: str) -> str:
    """As ``prose``, for a cell of a table."""
    return prose(text).replace("|", "\\|")
