"""Bytes by direction and by site: the tables and the plotly figures over them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from placeaudit.model import Direction
from placeaudit.report.base import Result
from placeaudit.report.html.view import short_path, source_line
from placeaudit.report.summary import recurring
from placeaudit.report.units import plural, size

__all__ = ["LABELS", "SiteRow", "SiteRows", "direction_figure", "site_figure", "site_rows"]

LABELS = {
    Direction.H2D: "host to device",
    Direction.D2H: "device to host",
    Direction.D2D: "between devices",
}
#: Sites in the table, and bars in the chart.
_MOST_ROWS, _MOST_BARS = 100, 12
_LONGEST_LABEL = 32


@dataclass(frozen=True, slots=True)
class SiteRow:
    """What crossed in one direction from one site."""

    place: str
    source: str
    direction: Direction
    count: int
    bytes: int
    step_bytes: float | None
    blocked_s: float


@dataclass(frozen=True, slots=True)
class SiteRows:
    """The heaviest sites and how many were left out."""

    rows: tuple[SiteRow, ...]
    left: int
    left_bytes: int


def site_rows(result: Result) -> SiteRows:
    """Copies grouped by source line and direction, most bytes first."""
    audit, steps = result.audit, result.summary.steps
    copies = audit.copies
    totals: dict[tuple[str, int, int], list[int]] = {}
    kinds = len(Direction)
    keys, inverse = np.unique(
        copies.site.astype(np.int64) * kinds + copies.direction, return_inverse=True
    )
    counts = np.bincount(inverse, minlength=len(keys))
    sizes = np.bincount(inverse, weights=copies.bytes, minlength=len(keys))
    in_steps = np.bincount(inverse, weights=copies.bytes * recurring(copies), minlength=len(keys))
    blocked = np.bincount(inverse, weights=copies.blocked_ns, minlength=len(keys))
    for i, key in enumerate(keys.tolist()):
        site, direction = divmod(key, kinds)
        frame = audit.sites[site].frame if site >= 0 else None
        place = (frame.file if frame else "", frame.line if frame else -1, direction)
        total = totals.setdefault(place, [0, 0, 0, 0])
        total[0] += int(counts[i])
        total[1] += int(sizes[i])
        total[2] += int(in_steps[i])
        total[3] += int(blocked[i])
    rows = sorted(
        (
            SiteRow(
                place=f"{short_path(file, audit.meta.cwd)}:{line}" if file else "no Python frame",
                source=source_line(result, file, line),
                direction=tuple(Direction)[direction],
                count=number,
                bytes=total_bytes,
                step_bytes=step_bytes / steps if steps else None,
                blocked_s=blocked_ns / 1e9,
            )
            for (file, line, direction), (
                number,
                total_bytes,
                step_bytes,
                blocked_ns,
            ) in totals.items()
        ),
        key=lambda row: (-row.bytes, row.place),
    )
    left = rows[_MOST_ROWS:]
    return SiteRows(tuple(rows[:_MOST_ROWS]), len(left), sum(row.bytes for row in left))


def direction_figure(result: Result) -> dict[str, Any]:
    """One bar a direction."""
    labels, values, texts = [], [], []
    for direction, label in reversed(LABELS.items()):
        traffic = result.summary.traffic(direction)
        labels.append(label)
        values.append(traffic.bytes)
        texts.append(f"{size(traffic.bytes)} in {plural(traffic.count, 'copy', 'copies')}")
    return {
        "data": [
            {
                "type": "bar",
                "orientation": "h",
                "x": values,
                "y": labels,
                "text": texts,
                "hovertemplate": "%{y}: %{text}<extra></extra>",
                "meta": {"colors": [direction.value for direction in reversed(LABELS)]},
            }
        ],
        "layout": {
            "height": 160,
            "showlegend": False,
            "bargap": 0.35,
            "xaxis": _bytes_axis(max(values)),
        },
    }


def site_figure(result: Result) -> dict[str, Any]:
    """One bar a site, stacked by direction."""
    rows = site_rows(result).rows
    places = list(dict.fromkeys(row.place for row in rows))[:_MOST_BARS]
    labels = _labels(places)
    data = []
    totals = dict.fromkeys(places, 0)
    for direction, label in LABELS.items():
        mine = {row.place: row for row in rows if row.direction is direction}
        shown = [place for place in reversed(places) if place in mine]
        if not shown:
            continue
        for place in shown:
            totals[place] += mine[place].bytes
        data.append(
            {
                "type": "bar",
                "orientation": "h",
                "name": label,
                "x": [mine[place].bytes for place in shown],
                "y": [labels[place] for place in shown],
                "text": [
                    f"{size(mine[place].bytes)} in {plural(mine[place].count, 'copy', 'copies')}"
                    for place in shown
                ],
                "hovertemplate": "%{y}: %{text}<extra>" + label + "</extra>",
                "meta": {"color": direction.value},
            }
        )
    return {
        "data": data,
        "layout": {
            "height": 110 + 28 * len(places),
            "bargap": 0.35,
            "showlegend": True,
            "barmode": "stack",
            "xaxis": _bytes_axis(max(totals.values(), default=0)),
            "yaxis": {
                "categoryarray": [labels[p] for p in reversed(places)],
                "categoryorder": "array",
            },
        },
    }


def _labels(places: list[str]) -> dict[str, str]:
    """Long paths cut to their last two parts, unless that makes two of them the same."""
    cut = {
        place: "…/" + "/".join(place.split("/")[-2:])
        if len(place) > _LONGEST_LABEL and place.count("/") > 1
        else place
        for place in places
    }
    return cut if len(set(cut.values())) == len(places) else dict(zip(places, places, strict=True))


def _bytes_axis(most: int) -> dict[str, Any]:
    """Ticks at round binary sizes: plotly knows decimal prefixes only."""
    if not most:
        return {"range": [0, 1], "tickvals": [0], "ticktext": ["0"]}
    step = 1.0
    while most / step > 5:  # noqa: PLR2004 - at most five ticks
        step *= 2
    ticks = [step * i for i in range(int(most / step) + 1)]
    return {
        "range": [0, most * 1.05],
        "tickvals": ticks,
        "ticktext": [size(tick) if tick else "0" for tick in ticks],
    }
