"""A device-placement log as rows of a record: placements, and fallbacks where it proves one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from placeaudit.record.sites import Sites
from placeaudit.record.tensorflow.placement_log import Fallback, Log, Placed, shown
from placeaudit.store.writer import RecordWriter

__all__ = ["add_fallbacks", "add_placements"]

#: In ``placements.kind``: where an operation ran, no tensor.
KIND: Final = "operation"
#: What stands for the function in frames whose file is a log.
_PLACE: Final = "placement log"


def add_placements(
    writer: RecordWriter, log: Log, start_ns: int = 0, name: Callable[[str], str] = shown
) -> None:
    """One row of ``placements`` for each operation and device, which ``name`` names."""
    text = writer.string
    kind, rows = text(KIND), writer.rows("placements")
    for placed in log.placed:
        rows.append(
            (
                start_ns + placed.time_ns, kind, text(placed.operation), text(placed.name),
                text(name(placed.device)), -1, -1, -1, -1, -1, -1,
            )
        )  # fmt: skip


def add_fallbacks(writer: RecordWriter, sites: Sites, file: Path, log: Log, expected: str) -> None:
    """A row of ``fallbacks`` for each operation that ran elsewhere than asked.

    Its place is the line of the log; operations of one kind on one device share the first.
    """
    text, rows = writer.string, writer.rows("fallbacks")
    first: dict[tuple[str, ...], int] = {}
    for fallback in log.fallbacks(expected):
        placed = fallback.placed
        line = first.setdefault(_group(fallback), placed.line)
        stack = sites.known([(str(file), line, _PLACE)])
        row = (
            placed.time_ns, text(placed.operation), text(shown(fallback.requested)),
            text(shown(placed.device)), text(fallback.reason), text(""), stack, 0, 0, -1, 0,
        )  # fmt: skip
        rows.extend([row] * placed.count)


def _group(fallback: Fallback) -> tuple[str, ...]:
    placed: Placed = fallback.placed
    if fallback.reason in {"no device", "unused", "expected"}:
        # Nothing at all runs there: that is one finding, not one for each kind of operation.
        return fallback.reason, fallback.requested, placed.device
    return fallback.reason, fallback.requested, placed.device, placed.operation
