"""Replicas, sessions and threads: what crosses in them, at its line; collectives apart."""

from __future__ import annotations

import collections
from pathlib import Path
from typing import Any

import pytest

from placeaudit.store.reader import read_run
from tests.record.tensorflow.conftest import copies_of, run_python, trace

PROGRAM = Path(__file__).parent / "programs" / "strategies.py"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    run = tmp_path_factory.mktemp("strategies") / "run"
    return trace(PROGRAM, run), run


def at(run: Path, comment: str) -> list[tuple[str, str, int]]:
    """Source, destination and bytes of what stands at the line with this comment."""
    (number,) = (
        n for n, line in enumerate(PROGRAM.read_text().splitlines(), 1) if line.endswith(comment)
    )
    return [
        (row["src_device"], row["dst_device"], row["bytes"])
        for row in copies_of(run)
        if row["line"] == number and row["operation"] == "_Send"
    ]


def test_output_and_the_programs_own_graph_trace_stay(recorded: tuple[str, Path]) -> None:
    assert recorded[0] == run_python(PROGRAM)
    assert recorded[0].startswith("True\n")


def test_a_session_copies_feeds_inner_edges_and_fetches(recorded: tuple[str, Path]) -> None:
    sizes = [rows * 4 * 4 for rows in (2, 3, 5)]  # the last in another thread
    assert at(recorded[1], "# to GPU:1") == [("GPU:0", "GPU:1", size) for size in sizes]
    # What is fed and fetched crosses at the line that runs the session.
    given = [(("cpu", "GPU:0", size), ("GPU:1", "cpu", size)) for size in sizes]
    ran = at(recorded[1], "# fed, fetched")
    assert sorted(ran) == sorted(row for pair in given for row in pair)
    hashed = [row for row in copies_of(recorded[1]) if row["content_hash"]]
    assert [row["bytes"] for row in hashed if row["operation"] == "_Send"].count(32) == 2
    waits = {row["operation"]: row["waits"] for row in copies_of(recorded[1]) if row["waits"]}
    assert "_Send" in waits  # the host waits for what it fetches


def test_functions_are_read_on_after_the_programs_trace(recorded: tuple[str, Path]) -> None:
    assert at(recorded[1], "    y = x * 2.0") == [("cpu", "GPU:0", 64)]


def test_replicas_copy_their_input_and_reduce_apart(recorded: tuple[str, Path]) -> None:
    (process,) = read_run(recorded[1]).processes
    strings = process.tables["strings"].column("text").to_pylist()
    spans: Any = process.tables["spans"].to_pylist()
    kinds = collections.Counter(
        strings[row["name"]] for row in spans if strings[row["kind"]] == "collective"
    )
    assert kinds == {"CollectiveReduceV2": 3}
    # The gradients, 128 bytes on each device, go by the collective; the input is a copy.
    sent = at(recorded[1], "step(tf.ones([2, 8]))")
    assert sent == [("GPU:0", "GPU:1", 64)] * 3


def test_a_worker_of_its_own_cluster_is_recorded_as_any_process(tmp_path: Path) -> None:
    program = PROGRAM.with_name("multi_worker.py")
    output = trace(program, tmp_path / "run")
    assert output.split() == ["True", "16.00000", "10.24000", "6.55360"]  # of two replicas
    (number,) = (
        n
        for n, line in enumerate(program.read_text().splitlines(), 1)
        if line.endswith("# on the host")
    )
    sent = collections.Counter(
        (row["src_device"], row["dst_device"], row["bytes"])
        for row in copies_of(tmp_path / "run")
        if row["line"] == number
    )
    assert sent == {("cpu", "GPU:0", 64): 3, ("cpu", "GPU:1", 64): 3}
    (process,) = read_run(tmp_path / "run").processes
    strings = process.tables["strings"].column("text").to_pylist()
    kinds = [strings[row["kind"]] for row in process.tables["spans"].to_pylist()]
    assert kinds.count("collective") == 3
