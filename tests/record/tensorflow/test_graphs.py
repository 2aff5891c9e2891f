"""Copies inside compiled functions: as many as TensorFlow's profiler counts, at their lines."""

from __future__ import annotations

import collections
import json
from pathlib import Path

from tests.record.tensorflow.conftest import copies_of, trace

PROGRAM = Path(__file__).parent / "programs" / "function_copies.py"
#: Calls of the program: once to trace each shape, ten times under the profiler.
CALLS, PROFILED = 11, 10


def test_edges_that_cross_are_counted_as_the_profiler_counts_them(tmp_path: Path) -> None:
    actual = json.loads(trace(PROGRAM, tmp_path / "run").splitlines()[-1])
    rows = [row for row in copies_of(tmp_path / "run") if row["operation"] == "_Send"]
    recorded = collections.Counter(f"{row['src_device']} {row['dst_device']}" for row in rows)
    assert sum(actual.values()) > 50
    assert {way: count * PROFILED // CALLS for way, count in recorded.items()} == actual
    line = PROGRAM.read_text().splitlines().index("        y = x * 3.0  # up: y") + 1
    up = [row for row in rows if row["line"] == line]
    assert {row["bytes"] for row in up} == {4 * 4 * 4, 8 * 4 * 4}  # as large as the batch
    assert {row["dst_device"] for row in up} == {"GPU:0"}
    assert [row["bytes"] for row in rows if row["shape"] == ""] == [4] * 2 * CALLS
