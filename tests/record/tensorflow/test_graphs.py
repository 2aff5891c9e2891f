"""Copies inside compiled functions: as many as TensorFlow makes, at their lines."""

from __future__ import annotations

import collections
import json
import re
import subprocess
import sys
from pathlib import Path

from placeaudit.store.reader import read_run
from tests.record.tensorflow.conftest import ENVIRONMENT, copies_of, run_python, trace

PROGRAM = Path(__file__).parent / "programs" / "function_copies.py"
FLOW = PROGRAM.with_name("flow_copies.py")
MARK = re.compile(r"(\S+ \S+ \d+) x(\d+)")
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


def marked() -> dict[tuple[int, str], int]:
    """How often each line of the program copies, by direction and bytes, as it says itself."""
    return {
        (number, found[1]): int(found[2])
        for number, line in enumerate(FLOW.read_text().splitlines(), 1)
        for found in MARK.finditer(line.partition("# copy: ")[2])
    }


def counted(run: Path) -> dict[tuple[int, str], int]:
    """The same of a record."""
    return collections.Counter(
        (row["line"], f"{row['src_device']} {row['dst_device']} {row['bytes']}")
        for row in copies_of(run)
        if row["operation"] == "_Send"
    )


def notes(run: Path) -> list[str]:
    """What a record says of itself."""
    (process,) = read_run(run).processes
    return [str(text) for text in process.tables["notes"].column("text").to_pylist()]


def test_loops_branches_and_integers_count_as_often_as_they_run(tmp_path: Path) -> None:
    run = tmp_path / "run"
    command = ["-m", "placeaudit", "trace", "-q", "--simulate", "cuda:2", "-o", str(run), str(FLOW)]
    environment = {**ENVIRONMENT, "TF_CPP_MIN_LOG_LEVEL": "0"}
    done = subprocess.run(
        [sys.executable, *command],
        env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.stdout == run_python(FLOW)
    assert counted(run) == marked()
    # Of the windows nothing is seen: one session is the program's own.
    assert done.stderr.count("Profiler session started") == 1
    line = 1 + next(i for i, text in enumerate(FLOW.read_text().splitlines()) if "# wait" in text)
    (process,) = read_run(run).processes
    strings = process.tables["strings"].column("text").to_pylist()
    waits = process.tables["waits"].to_pylist()
    frames = process.tables["frames"].to_pylist()
    stacks = process.tables["stacks"].column("frames").to_pylist()
    sizes = [wait for wait in waits if strings[wait["cause"]] == "Where"]
    assert len(sizes) == 3
    assert all(line in {frames[i]["line"] for i in stacks[wait["stack"]]} for wait in sizes)


def test_while_the_program_profiles_itself_loops_count_once_and_that_is_said(
    tmp_path: Path,
) -> None:
    run = tmp_path / "run"
    options: tuple[str | Path, ...] = ("-q", "--simulate", "cuda:2", "-o", run)
    output = run_python("-m", "placeaudit", "trace", *options, FLOW, "profile")
    assert output == run_python(FLOW)
    found, expected = counted(run), marked()
    inner = {key for key in expected if found[key] != expected[key]}
    assert {expected[key] for key in inner} == {15, 9, 2, 1}
    assert {found[key] for key in inner} == {3}
    assert any("counted once a call" in note for note in notes(run))
