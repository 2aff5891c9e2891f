"""Runs TensorFlow programs of the corpus one after the other in this process.

    tensorflow_worker.py OUT [--tools] KEY...

One line of JSON a program goes to ``OUT``, as ``worker.py`` writes it.  TensorFlow takes seconds to
start and chooses its devices once: the programs share a process and two simulated GPUs, each has a
trace, seeds and Keras names of its own.  PyTorch's tools, which ``--tools`` asks for, say nothing
of them.
"""

from __future__ import annotations

import contextlib
import gc
import io
import json
import os
import random
import sys
import tempfile
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

import placeaudit
from placeaudit.record.launch import Target, run_target
from tests.corpus.harness import CORPUS, Program, programs

DEVICES = "cuda:2"


@contextlib.contextmanager
def isolated(program: Program, folder: Path) -> Iterator[None]:
    """A fresh start for ``program``, and nothing of it afterwards."""
    import tensorflow as tf

    before, main, cwd = set(sys.modules), sys.modules["__main__"], Path.cwd()
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002  (what programs may use is the global generator)
    tf.keras.backend.clear_session()
    tf.keras.utils.set_random_seed(0)
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(cwd)
        sys.modules["__main__"] = main
        for name in set(sys.modules) - before:
            file = getattr(sys.modules[name], "__file__", None)
            if file and Path(file).is_relative_to(program.entry.parent):
                del sys.modules[name]
        gc.collect()


def traced(program: Program, folder: Path) -> dict[str, Any]:
    """Findings and output of one run."""
    out, err = io.StringIO(), io.StringIO()
    with (
        isolated(program, folder),
        placeaudit.trace(folder / "run") as run,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        code = run_target(Target("script", str(program.entry)))
    return {
        "findings": sorted(
            (f.rule, _inside(f.file), f.line or 0, f.severity.value) for f in run.findings
        ),
        "output": out.getvalue(),
        "error": err.getvalue() if code else "",
    }


def _inside(file: str) -> str:
    """``file`` relative to the corpus, where it is in it."""
    path = Path(file)
    return path.relative_to(CORPUS).as_posix() if path.is_relative_to(CORPUS) else file


def outcome(program: Program) -> dict[str, Any]:
    """One row; what PyTorch's tools would have said stays empty."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            row = traced(program, Path(folder))
        except Exception:  # noqa: BLE001  (an audit that fails is what the corpus is to show)
            row = {"findings": [], "output": "", "error": traceback.format_exc()}
    empty: dict[str, Any] = {key: [] for key in ("waits", "matched", "warned", "other_patterns")}
    return {"key": program.key, **empty, **row}


def main() -> None:
    """Run the programs that the command line names."""
    out, *keys = sys.argv[1:]
    warnings.filterwarnings("ignore")
    by_key = {program.key: program for program in programs()}
    with placeaudit.simulate(DEVICES), Path(out).open("w", encoding="utf-8") as file:
        for key in keys:
            if key != "--tools":
                file.write(json.dumps(outcome(by_key[key])) + "\n")
                file.flush()


if __name__ == "__main__":
    main()
