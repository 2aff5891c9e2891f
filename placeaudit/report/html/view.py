"""What the page's template shows of a run: plain dictionaries of text and numbers."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from placeaudit.errors import UsageError
from placeaudit.model import Finding
from placeaudit.report.base import Result
from placeaudit.report.summary import observed
from placeaudit.report.units import count, duration, estimated, plural, ranks, rate, size
from placeaudit.rules.grouping import FindingGroup, grouped
from placeaudit.rules.registry import find

__all__ = ["rule_docs", "run_view", "short_path"]

#: Lines of source shown before and after the line of a finding.
_CONTEXT = 2
#: Further lines of a group that are named.
_MOST_OTHERS = 50


def run_view(result: Result, *, limit: int, group_above: int) -> dict[str, Any]:
    """Everything the template needs for one run but its charts.

    At most ``limit`` findings, those of one rule in one function counted as one where there are
    more than ``group_above``.
    """
    meta, summary = result.audit.meta, result.summary
    groups = grouped(result.findings, above=group_above)
    shown = groups[:limit]
    started = datetime.fromtimestamp(meta.started_unix_s, UTC)
    return {
        "program": Path(meta.argv[0]).name if meta.argv else Path(meta.path).name,
        "command": " ".join(meta.argv),
        "path": meta.path,
        "cwd": meta.cwd,
        "started": started.strftime("%Y-%m-%d %H:%M UTC"),
        "duration": duration(summary.duration_s),
        "devices": ", ".join(summary.devices),
        "simulated": meta.simulated,
        "exit_code": meta.exit_code,
        "versions": [f"{name} {version}" for name, version in sorted(meta.versions.items())],
        "processes": list(meta.processes),
        "observed": observed(result.audit),
        "verdict": result.headline.text,
        "state": result.headline.state,
        "steps": plural(summary.steps, "step") if summary.steps else "",
        "steps_how": summary.steps_how,
        "summary": summary,
        "tiles": _tiles(result),
        "findings": [_group(result, together) for together in shown],
        "findings_left": sum(1 + len(together.others) for together in groups[limit:]),
        "notes": [
            {
                "rule": note.rule,
                "text": note.text,
                "place": f"{short_path(note.frame.file, meta.cwd)}:{note.frame.line}"
                if note.frame
                else "",
            }
            for note in result.audit.notes
        ],
    }


def rule_docs(results: Sequence[Result]) -> dict[str, str]:
    """The documentation of each rule that found something."""
    docs: dict[str, str] = {}
    for code in sorted({finding.rule for result in results for finding in result.findings}):
        try:
            docs[code] = inspect.getdoc(find(code)) or ""
        except UsageError:  # a record judged by rules that this version does not have
            continue
    return docs


def short_path(file: str, cwd: str) -> str:
    """The path from the program's working directory, where it lies below it."""
    return file.removeprefix(cwd.rstrip("/") + "/") if cwd else file


def _tiles(result: Result) -> list[dict[str, str]]:
    """The figures below the verdict."""
    summary = result.summary
    tiles = []
    for label, traffic in (
        ("Host → device", summary.h2d),
        ("Device → host", summary.d2h),
        ("Between devices", summary.d2d),
    ):
        detail = plural(traffic.count, "copy", "copies")
        if traffic.step_bytes:
            detail += f", {size(traffic.step_bytes)} a step"
        tiles.append({"label": label, "value": size(traffic.bytes), "detail": detail})
    blocked = "not measured" if summary.blocked_s is None else duration(summary.blocked_s)
    a_step = f"{duration(summary.step_blocked_s)} a step, " if summary.step_blocked_s else ""
    detail = f"{plural(summary.waits, 'wait')}, {a_step}{summary.basis}"
    tiles.append({"label": "Host waited", "value": blocked, "detail": detail})
    return tiles


def _group(result: Result, together: FindingGroup[Finding]) -> dict[str, Any]:
    """A finding with the others of its rule in its function."""
    found = _finding(result, together.lead)
    others = together.others[:_MOST_OTHERS]
    return found | {
        "count": 1 + len(together.others),
        "others": [_other(result, finding) for finding in others],
        "others_left": len(together.others) - len(others),
        "search": "\n".join(
            [found["search"], *("\n".join(_searched(f)).lower() for f in together.others)]
        ),
    }


def _other(result: Result, finding: Finding) -> dict[str, Any]:
    """A line of a group, short."""
    facts = dict(_facts(finding))
    names = ("occurrences", "bytes", "host blocked")
    return {
        "place": f"{short_path(finding.file, result.audit.meta.cwd)}:{finding.line}",
        "line": source_line(result, finding.file, finding.line),
        "facts": [(name, facts[name]) for name in names if name in facts],
    }


def _finding(result: Result, finding: Finding) -> dict[str, Any]:
    cwd = result.audit.meta.cwd
    return {
        "finding": finding,
        "severity": finding.severity.value,
        "certainty": finding.certainty.value,
        "place": f"{short_path(finding.file, cwd)}:{finding.line}" if finding.file else "",
        "scope": finding.function if finding.function != "<module>" else "",
        "excerpt": _excerpt(result, finding),
        "facts": _facts(finding),
        "related": [
            {
                "text": text,
                "place": f"{short_path(frame.file, cwd)}:{frame.line}",
                "line": source_line(result, frame.file, frame.line),
            }
            for text, frame in finding.related
        ],
        "search": "\n".join(_searched(finding)).lower(),
    }


def _searched(finding: Finding) -> tuple[str, ...]:
    """What the page's search box looks in."""
    return finding.rule, finding.name, finding.file, finding.function, finding.message


def _facts(finding: Finding) -> list[tuple[str, str]]:
    """Label and value of every figure that the finding has."""
    if not finding.file:
        return []  # about the record itself: nothing crossed
    facts = [("occurrences", f"{count(finding.count)}")]
    often = rate(finding.per_step)
    if often:
        facts.append(("rate", often))
    if finding.ranks:
        facts.append(("seen on", ranks(finding.ranks)))
    if finding.src and finding.dst:
        facts.append(("direction", f"{finding.src} → {finding.dst}"))
    if finding.bytes:
        facts.append(("bytes", size(finding.bytes)))
    if finding.blocked_s is not None:
        facts.append(("host blocked", f"{duration(finding.blocked_s)} ({finding.blocked_basis})"))
    if finding.estimate is not None:
        facts.append(estimated(finding.estimate))
    if finding.phase != "other":
        facts.append(("phase", finding.phase))
    if finding.module:
        facts.append(("module", finding.module))
    if finding.library:
        facts.append(("made by", finding.library))
    return facts


def _excerpt(result: Result, finding: Finding) -> list[dict[str, Any]]:
    """The lines around a finding: number, text, whether it is the finding's own."""
    lines = result.audit.sources.get(finding.file, "").splitlines()
    if not 0 < finding.line <= len(lines):
        return []
    last = max(finding.line, finding.end_line)
    first = max(1, finding.line - _CONTEXT)
    return [
        {"number": n, "text": lines[n - 1], "own": finding.line <= n <= last}
        for n in range(first, min(len(lines), last + _CONTEXT) + 1)
    ]


def source_line(result: Result, file: str, line: int) -> str:
    """The recorded source line, stripped; "" where it is not known."""
    lines = result.audit.sources.get(file, "").splitlines()
    return lines[line - 1].strip() if 0 < line <= len(lines) else ""
