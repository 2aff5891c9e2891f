"""Audits TensorFlow programs in this process, under two simulated GPUs: ``audit.py OUT PROGRAM…``.

One line of JSON a program goes to ``OUT``: its findings as rule, line and severity.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

import placeaudit
from placeaudit.record.launch import Target, run_target
from tests.corpus.harness import Program
from tests.corpus.tensorflow_worker import DEVICES, isolated


def main() -> None:
    """Audit the programs that the command line names."""
    out, *paths = sys.argv[1:]
    with placeaudit.simulate(DEVICES), Path(out).open("w", encoding="utf-8") as file:
        for path in map(Path, paths):
            program = Program(path.parent.name, path.stem, path)
            with tempfile.TemporaryDirectory() as folder, isolated(program, Path(folder)):
                with placeaudit.trace(Path(folder) / "run") as run:
                    code = run_target(Target("script", str(path)))
                found = [(f.rule, f.line, f.severity.value, f.fix) for f in run.findings]
            file.write(json.dumps({"path": str(path), "code": code, "findings": found}) + "\n")


if __name__ == "__main__":
    main()
