"""TensorFlow chooses its devices once per process: what is tested of it runs in one of its own."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from placeaudit.store.reader import read_run

if importlib.util.find_spec("tensorflow") is None:
    collect_ignore_glob = ["test_*.py"]

ROOT = Path(__file__).parents[3]
ENVIRONMENT = os.environ | {
    "PYTHONPATH": str(ROOT),
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_ENABLE_ONEDNN_OPTS": "0",
}


def run_python(*arguments: str | Path) -> str:
    """Standard output of a Python process; fails with its errors."""
    done = subprocess.run(
        [sys.executable, *arguments],
        env=ENVIRONMENT, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def copies_of(run: Path) -> list[dict[str, Any]]:
    """The rows of ``copies`` of a one-process run, with texts and the user's line."""
    (process,) = read_run(run).processes
    strings = process.tables["strings"].column("text").to_pylist()
    frames = process.tables["frames"].to_pylist()
    stacks = process.tables["stacks"].column("frames").to_pylist()
    rows: list[dict[str, Any]] = process.tables["copies"].to_pylist()
    for row in rows:
        for name in ("src_device", "dst_device", "src_dtype", "shape", "operation"):
            row[name] = strings[row[name]]
        found = [frames[i] for i in stacks[row["stack"]]] if row["stack"] >= 0 else []
        row["line"] = next((f["line"] for f in found if not f["package"]), -1)
    return rows


def trace(program: Path, run: Path, *options: str) -> str:
    """Trace a program with a simulated GPU; its standard output."""
    return run_python(
        "-m", "placeaudit", "trace", "-q", "--simulate", "cuda:2", *options, "-o", run, program
    )
