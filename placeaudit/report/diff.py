"""What changed between two runs, as text, JSON or Markdown."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from placeaudit.model import Finding
from placeaudit.report.base import Result
from placeaudit.report.comparison import Comparison, Exceeded, Figure
from placeaudit.report.markdown import cell, prose
from placeaudit.report.units import count, duration, plural, size
from placeaudit.verdict.baseline import Key, key_of
from placeaudit.verdict.paths import ProjectPaths

__all__ = ["VERSION", "DiffJson", "DiffMarkdown", "DiffText"]

#: Version of the JSON object.
VERSION: Final = 1
_ROWS: Final = ("copies", "bytes", "waits")
_WAYS: Final = {"h2d": "host to device", "d2h": "device to host", "d2d": "between devices"}


class DiffText:
    """For a terminal: a table of figures, then the findings that are new and that are gone."""

    def __init__(self, paths: ProjectPaths) -> None:
        self._paths = paths

    def render(self, found: Comparison, exceeded: Sequence[Exceeded]) -> str:
        """The comparison, in plain lines."""
        rows = [("", "before", "after", "change"), *_table(found)]
        widths = [max(len(row[i]) for row in rows) for i in range(4)]
        lines = [f"placeaudit: {_path(found, 0)} → {_path(found, 1)}"]
        for row in rows:
            cells = [row[0].ljust(widths[0]), *(row[i].rjust(widths[i]) for i in (1, 2, 3))]
            lines.append("  ".join(cells).rstrip())
        for title, keys, result in _changes(found):
            if keys:
                lines += ["", f"{plural(sum(keys.values()), 'finding')} {title}:"]
                lines += [
                    f"  {_entry(k, n, _example(k, result, self._paths))}" for k, n in keys.items()
                ]
        lines += ["", *(f"note: {notice}" for notice in found.notices)] if found.notices else []
        lines += ["", *map(_exceeded, exceeded)] if exceeded else []
        return "".join(f"{line}\n" for line in lines)


class DiffMarkdown:
    """For a pull request: one line, a table, the findings."""

    def __init__(self, paths: ProjectPaths) -> None:
        self._paths = paths

    def render(self, found: Comparison, exceeded: Sequence[Exceeded]) -> str:
        """The comparison as a comment."""
        new, fixed = sum(found.new.values()), sum(found.fixed.values())
        mark = "⚠️" if new or exceeded else "✅"
        parts = [f"### {mark} placeaudit: {plural(new, 'new finding')}, {count(fixed)} gone"]
        parts += [f"* **{prose(_exceeded(entry))}**" for entry in exceeded]
        rows = ["| | before | after | change |", "|---|---:|---:|---:|"]
        rows += [f"| {' | '.join(row)} |" for row in _table(found)]
        parts.append("\n".join(rows))
        for title, keys, result in _changes(found):
            if keys:
                entries = [
                    f"* {cell(_entry(k, n, _example(k, result, self._paths)))}"
                    for k, n in keys.items()
                ]
                parts.append(
                    f"{plural(sum(keys.values()), 'finding')} {title}:\n\n" + "\n".join(entries)
                )
        parts += [f"_{prose(notice)}_" for notice in found.notices]
        return "\n\n".join(parts) + "\n"


class DiffJson:
    """For a pipeline: ``{schema, version, before, after, figures, new, fixed, exceeded, notices}``.

    ``figures`` holds ``{before, after, ratio, unit}`` by name; null where it was not measured.
    """

    def render(self, found: Comparison, exceeded: Sequence[Exceeded]) -> str:
        """The comparison as one JSON object."""
        document: dict[str, Any] = {
            "schema": "placeaudit-diff",
            "version": VERSION,
            "before": _path(found, 0),
            "after": _path(found, 1),
            "figures": {
                name: {
                    "before": figure.before,
                    "after": figure.after,
                    "ratio": figure.ratio,
                    "unit": figure.unit,
                }
                for name, figure in found.figures.items()
            },
            "new": [key._asdict() | {"count": n} for key, n in found.new.items()],
            "fixed": [key._asdict() | {"count": n} for key, n in found.fixed.items()],
            "exceeded": [entry.threshold.text for entry in exceeded],
            "notices": list(found.notices),
        }
        return json.dumps(document, indent=2, allow_nan=False) + "\n"


def _path(found: Comparison, which: int) -> str:
    return (found.before, found.after)[which].audit.meta.path


def _table(found: Comparison) -> list[tuple[str, str, str, str]]:
    """A row a figure that either run has anything of: totals, then what a step takes."""
    labels: dict[str, str] = {}
    for suffix, ending in (("", ""), ("_per_step", " a step")):
        for row in _ROWS:
            labels |= {
                f"{way}_{row}{suffix}": f"{row} {text}{ending}" for way, text in _WAYS.items()
            }
        labels[f"call_waits{suffix}"] = f"waits of calls{ending}"
        labels[f"blocked_s{suffix}"] = f"host blocked{ending}"
    labels["findings"] = "findings"
    rows = []
    for name, label in labels.items():
        figure = found.figures[name]
        if figure.before or figure.after or name == "findings":
            before, after = (_value(figure, value) for value in (figure.before, figure.after))
            rows.append((label, before, after, _change(figure)))
    return rows


def _value(figure: Figure, value: float | None) -> str:
    if value is None:
        return "not measured"
    if figure.unit == "bytes":
        return size(value)
    if figure.unit == "s":
        return duration(value)
    return count(int(value)) if value == int(value) else f"{value:.2f}"


def _change(figure: Figure) -> str:
    if figure.before is None or figure.after is None:
        return "–"
    if figure.before == figure.after:
        return "="
    ratio = figure.ratio
    return "new" if ratio is None else f"{ratio:+.1%}"


def _changes(found: Comparison) -> list[tuple[str, Mapping[Key, int], Result]]:
    return [("new", found.new, found.after), ("gone", found.fixed, found.before)]


def _example(key: Key, result: Result, paths: ProjectPaths) -> Finding | None:
    """The worst finding with the key: which of several is the new one cannot be told."""
    cwd = result.audit.meta.cwd
    return next((f for f in result.findings if f.is_stray and key_of(f, cwd, paths) == key), None)


def _entry(key: Key, number: int, example: Finding | None) -> str:
    times = f"{number}× " if number > 1 else ""
    name = f" {example.name}" if example else ""
    place = f" {key.path}" if key.path else ""
    function = f" in {key.function}" if key.function else ""
    message = f": {example.message}" if example else ""
    return f"{times}{key.rule}{name}{place}{function}{message}"


def _exceeded(entry: Exceeded) -> str:
    figure = entry.figure
    values = " → ".join(_value(figure, value) for value in (figure.before, figure.after))
    return f"exceeded {entry.threshold.text}: {figure.name} {values} ({_change(figure)})"
