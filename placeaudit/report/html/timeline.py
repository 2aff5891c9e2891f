"""The timeline: phases and waits as bars, bytes below them, binned so that its size is bounded.

The axis is the host's clock.  In simulation the times are those of the simulation; only blocked
times in findings are modelled on the hardware.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from placeaudit.analyze.audit import Audit
from placeaudit.model import Direction
from placeaudit.report.html.charts import LABELS
from placeaudit.report.html.view import short_path
from placeaudit.report.units import count, duration, size

__all__ = ["totals", "views"]

#: Marks a row of the timeline has at most, and bars of bytes a direction.
MOST_MARKS: Final = 400
BINS: Final = 300

#: Kinds of spans that make a row, from top to bottom, with its label.
_ROWS: Final = {
    "loading": "loading",
    "module": "forward",
    "backward": "backward",
    "optimizer": "optimizer",
    "checkpoint": "checkpoint",
    "model-move": "model moves",
}
_WAITS: Final = "host waits"
_CLOSE_STEPS: Final = 3

Times = npt.NDArray[np.int64]


def views(audit: Audit) -> list[dict[str, Any]]:
    """The whole run, and three steps in its middle where there are more."""
    starts = [audit.copies.time_ns, audit.waits.time_ns, audit.spans.start_ns]
    ends = [audit.copies.time_ns, audit.waits.time_ns, audit.spans.end_ns]
    if not any(len(times) for times in starts):
        return []
    origin = min(int(times.min()) for times in starts if len(times))
    last = max(int(times.max()) for times in ends if len(times))
    found = [_view("Whole run", audit, origin, origin, max(last, origin + 1))]
    steps = audit.steps
    if len(steps) > _CLOSE_STEPS + 1:
        first = len(steps) // 2
        first = min(first, len(steps) - _CLOSE_STEPS)
        low = int(steps.start_ns[first])
        high = int(steps.end_ns[first + _CLOSE_STEPS - 1])
        title = f"Steps {first + 1} to {first + _CLOSE_STEPS}"
        if high > low:
            found.append(_view(title, audit, origin, low, high))
    return found


def totals(audit: Audit) -> list[dict[str, Any]]:
    """The table behind the timeline: how many bars each row stands for, and their host time."""
    return [
        {
            "label": row.label,
            "count": len(row.starts),
            "seconds": float((row.ends - row.starts).sum()) / 1e9,
        }
        for row in _rows(audit)
    ]


def _view(title: str, audit: Audit, origin: int, low: int, high: int) -> dict[str, Any]:
    scale, unit = (1e9, "s") if high - low >= 2e9 else (1e6, "ms")  # noqa: PLR2004 - two seconds
    data: list[dict[str, Any]] = []
    merged: list[str] = []
    labels = []
    for row in _rows(audit):
        trace, dropped = _bars(row, origin=origin, low=low, high=high, scale=scale)
        if not trace["x"]:
            continue
        labels.append(row.label)
        data.append(trace)
        if dropped:
            merged.append(f"{count(dropped)} {row.label}")
    copies, most = _bytes(audit, origin, low, high, scale)
    notes = []
    if merged:
        notes.append(
            f"{', '.join(merged)} are drawn as stretches of {duration((high - low) / 1e9 / BINS)}"
            " in which at least one ran"
        )
    if copies:
        notes.append(f"bytes are summed over {duration((high - low) / 1e9 / BINS)}")
    return {
        "title": title,
        "note": "; ".join(notes),
        "data": data + copies,
        "layout": {
            "height": 150 + 26 * len(labels) + 130,
            "barmode": "overlay",
            "bargap": 0.25,
            "xaxis": {
                "title": {"text": f"host time since the first event [{unit}]"},
                "range": [(low - origin) / scale, (high - origin) / scale],
                "anchor": "y2" if copies else "y",
            },
            "yaxis": {
                "domain": [0.36 if copies else 0, 1],
                "categoryorder": "array",
                "categoryarray": labels[::-1],
                "fixedrange": True,
            },
            "yaxis2": {
                "domain": [0, 0.3],
                "fixedrange": True,
                "rangemode": "tozero",
                "tickvals": [0, most / 2, most],
                "ticktext": ["0", size(most / 2), size(most)],
            },
        },
    }


@dataclass(frozen=True, slots=True)
class _Row:
    """One row of bars; ``name`` gives the text of a bar, and is called for few of them."""

    label: str
    color: str
    starts: Times
    ends: Times
    name: Callable[[int], str]


def _rows(audit: Audit) -> list[_Row]:
    """Every row that has something to show, top first."""
    spans, waits, rows = audit.spans, audit.waits, []
    if len(audit.steps):
        starts, ends = audit.steps.start_ns, audit.steps.end_ns
        rows.append(_Row("steps", "step", starts, ends, lambda i: f"step {i + 1}"))
    kinds = {text: i for i, text in enumerate(audit.strings)}
    for kind, label in _ROWS.items():
        mask = spans.kind == kinds.get(kind, -2)
        if mask.any():
            name = _namer(audit, spans.name[mask], label)
            rows.append(_Row(label, kind, spans.start_ns[mask], spans.end_ns[mask], name))
    if len(waits):
        ends = waits.time_ns + waits.host_ns
        name = _namer(audit, waits.cause, _WAITS)
        rows.append(_Row(_WAITS, "wait", waits.time_ns, ends, name))
    return rows


def _namer(audit: Audit, names: npt.NDArray[np.int32], otherwise: str) -> Callable[[int], str]:
    return lambda i: audit.text(int(names[i])) or otherwise


def _bars(
    row: _Row, *, origin: int, low: int, high: int, scale: float
) -> tuple[dict[str, Any], int]:
    """One trace of horizontal bars, and how many marks were merged into stretches of bins."""
    inside = np.flatnonzero((row.ends >= low) & (row.starts <= high))
    starts, ends = np.clip(row.starts[inside], low, high), np.clip(row.ends[inside], low, high)
    merged = len(inside) if len(inside) > MOST_MARKS else 0
    if merged:
        starts, ends, texts = _stretches(starts, ends, low, high)
    else:
        lengths = row.ends[inside] - row.starts[inside]
        texts = [
            f"{row.name(int(i))}: {duration(int(length) / 1e9)}"
            for i, length in zip(inside, lengths, strict=True)
        ]
    trace = {
        "type": "bar",
        "orientation": "h",
        "base": _rounded((starts - origin) / scale),
        "x": _rounded((ends - starts) / scale),
        "y": [row.label] * len(starts),
        "customdata": texts,
        "hovertemplate": f"%{{customdata}}<extra>{row.label}</extra>",
        "showlegend": False,
        # Steps follow one another without a gap: every other one is paler.
        "meta": {"color": row.color, "alternate": row.color == "step" and not merged},
    }
    return trace, merged


def _stretches(starts: Times, ends: Times, low: int, high: int) -> tuple[Times, Times, list[str]]:
    """Runs of bins that at least one interval touches, and how many began in each."""
    width = max(1, -(-(high - low) // BINS))
    first = np.minimum((starts - low) // width, BINS - 1)
    last = np.minimum((ends - low) // width, BINS - 1)
    depth = np.zeros(BINS + 1, dtype=np.int64)
    np.add.at(depth, first, 1)
    np.add.at(depth, last + 1, -1)
    covered = np.concatenate([[0], (np.cumsum(depth[:-1]) > 0).astype(np.int8), [0]])
    edges = np.diff(covered)
    begin, end = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    began = np.bincount(first, minlength=BINS)
    texts = [f"{count(int(began[a:b].sum()))} in here" for a, b in zip(begin, end, strict=True)]
    return low + begin * width, np.minimum(low + end * width, high), texts


def _bytes(
    audit: Audit, origin: int, low: int, high: int, scale: float
) -> tuple[list[dict[str, Any]], float]:
    """Bytes by direction, summed over bins; each bar names its largest copy's line."""
    copies = audit.copies
    width = max(1, -(-(high - low) // BINS))
    inside = (copies.time_ns >= low) & (copies.time_ns <= high)
    traces: list[dict[str, Any]] = []
    stacked = np.zeros(BINS)
    for code, direction in enumerate(Direction):
        rows = np.flatnonzero(inside & (copies.direction == code))
        if not len(rows):
            continue
        bins = np.minimum((copies.time_ns[rows] - low) // width, BINS - 1)
        sums = np.bincount(bins, weights=copies.bytes[rows], minlength=BINS)
        numbers = np.bincount(bins, minlength=BINS)
        used = np.flatnonzero(sums)
        # The last assignment wins, so the largest copy of each bin comes last.
        largest = np.full(BINS, -1)
        order = np.argsort(copies.bytes[rows], kind="stable")
        largest[bins[order]] = rows[order]
        traces.append(
            {
                "type": "bar",
                "name": LABELS[direction],
                "x": _rounded((low - origin + (used + 0.5) * width) / scale),
                "y": [int(v) for v in sums[used]],
                "base": [int(v) for v in stacked[used]],
                "width": width / scale,
                "customdata": [
                    f"{size(sums[i])} in {count(int(numbers[i]))}, largest from "
                    + _label(audit, int(largest[i]))
                    for i in used
                ],
                "hovertemplate": "%{customdata}<extra>" + LABELS[direction] + "</extra>",
                "yaxis": "y2",
                "meta": {"color": direction.value},
            }
        )
        stacked += sums
    return traces, float(stacked.max())


def _label(audit: Audit, copy: int) -> str:
    site = int(audit.copies.site[copy])
    frame = audit.sites[site].frame if site >= 0 else None
    return f"{short_path(frame.file, audit.meta.cwd)}:{frame.line}" if frame else "no Python frame"


def _rounded(values: npt.NDArray[Any]) -> list[float]:
    """Microsecond-sized digits are enough for a screen, and keep the file small."""
    return [float(f"{value:.6g}") for value in values]
