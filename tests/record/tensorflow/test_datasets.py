"""Pipelines that a loop in Python iterates: what is said of their stages, which elements count."""

from __future__ import annotations

import collections
from pathlib import Path
from typing import Any

from placeaudit.store.reader import read_run
from tests.record.tensorflow.conftest import run_python, trace

PROGRAM = Path(__file__).parent / "programs" / "pipelines.py"


def test_each_pipeline_with_its_serial_stage_and_its_elements(tmp_path: Path) -> None:
    assert trace(PROGRAM, tmp_path / "run") == run_python(PROGRAM)
    (process,) = read_run(tmp_path / "run").processes
    text = process.tables["strings"].column("text").to_pylist()
    rows: Any = process.tables["datasets"].to_pylist()
    calls: Any = process.tables["calls"].to_pylist()
    taken = collections.Counter(
        row["storage"] for row in calls if text[row["kind"]] == "next" and row["host_ns"] > 0
    )
    found = {
        text[row["reason"]]: (text[row["stage"]], text[row["stages"]], taken[row["dataset"]])
        for row in rows
    }
    # Twice each; those that prefetch, slice or keep their elements are not there.
    assert found == {
        "serial": ("map", "Range > Map > Batch", 6),
        "python": ("map", "Range > Filter > Map > Prefetch", 12),
        "generator": ("flat_map", "Tensor > FlatMap", 6),
        "no prefetch": ("", "Range > ParallelMap > Batch", 4),
    }
    frames: Any = process.tables["frames"].to_pylist()
    stacks = process.tables["stacks"].column("frames").to_pylist()
    lines = PROGRAM.read_text(encoding="utf-8").splitlines()
    for row in rows:
        users = [frames[i] for i in stacks[row["stack"]] if not frames[i]["package"]]
        assert f'"{text[row["reason"]]}"' in lines[users[0]["line"] - 1]
