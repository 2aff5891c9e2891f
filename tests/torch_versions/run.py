"""Runs the tests that touch torch with the torch of this interpreter; keeps the table of versions.

``make test-torch TORCH=torch==2.10.0`` makes an environment with that torch and runs this in it.
Each run replaces its row of reports/torch_versions.md: which torch, built for what, which tests.
"""

from __future__ import annotations

import argparse
import datetime as dt
import platform
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

import torch

ROOT = Path(__file__).parents[2]
REPORT = ROOT / "reports" / "torch_versions.md"
FOLDERS = ("simulate", "record", "rules")
TITLES = ("torch", "built for", "Python", "system", *FOLDERS, "on")

HEAD = """# Versions of torch

Written by `make test-torch TORCH=torch==VERSION`, a row for each torch that was tried; no machine
had a CUDA device. A CUDA build (what `pip install torch` brings on Linux) has real kernels for a
device that is not there; a CPU build has none. Under each folder of `tests/`: how many of its tests
passed, failed and were skipped ("of …": only those that pytest's -k chose).
"""


@dataclass(frozen=True)
class Outcome:
    """What became of one folder's tests."""

    passed: int
    failed: int
    skipped: int

    def __str__(self) -> str:
        counts = {"failed": self.failed, "skipped": self.skipped}
        others = [f"{count} {name}" for name, count in counts.items() if count]
        return ", ".join([f"{self.passed} passed", *others])


def _run(folder: str, *arguments: str) -> Outcome:
    with tempfile.TemporaryDirectory() as place:
        results = Path(place) / "results.xml"
        others = "--ignore-glob=*/tensorflow*"
        command = [
            *(sys.executable, "-m", "pytest", "-q", f"--junitxml={results}", others),
            *arguments,
        ]
        subprocess.run([*command, f"tests/{folder}"], cwd=ROOT, check=False)
        if not results.exists():
            return Outcome(0, 1, 0)
        suite = next(ET.parse(results).getroot().iter("testsuite"))
    counts = {name: int(suite.get(name, 0)) for name in ("tests", "failures", "errors", "skipped")}
    failed = counts["failures"] + counts["errors"]
    return Outcome(counts["tests"] - failed - counts["skipped"], failed, counts["skipped"])


def _build() -> str:
    return f"CUDA {torch.version.cuda}" if torch.version.cuda else "CPU"


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def _merge(row: list[str]) -> list[list[str]]:
    """The rows of the report with this one in its place, oldest torch first."""
    rows = []
    if REPORT.exists():
        lines = [line for line in REPORT.read_text("utf-8").splitlines() if line.startswith("| ")]
        rows = [cells for cells in map(_cells, lines[1:]) if len(cells) == len(row)]
    kept = [cells for cells in rows if cells[:4] != row[:4]]
    return sorted([*kept, row], key=_order)


def _order(cells: list[str]) -> tuple[list[int], str]:
    return [int(part) for part in cells[0].partition("+")[0].split(".")], cells[1]


def main() -> int:
    """Run, write, and say by the exit code whether everything passed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folders", nargs="*", default=FOLDERS, choices=FOLDERS)
    parser.add_argument("pytest_arguments", nargs="*")
    options = parser.parse_args()
    outcomes = {folder: _run(folder, *options.pytest_arguments) for folder in options.folders}
    words = options.pytest_arguments
    chosen = f" of {words[words.index('-k') + 1]}" if "-k" in words else ""
    row = [
        torch.__version__,
        _build(),
        platform.python_version(),
        f"{platform.system()} {platform.machine()}",
        *(f"{outcomes[f]}{chosen}" if f in outcomes else "not run" for f in FOLDERS),
        str(dt.datetime.now(tz=dt.UTC).date()),
    ]
    table = [list(TITLES), ["---"] * len(TITLES), *_merge(row)]
    lines = [f"| {' | '.join(cells)} |".replace("| --- ", "|---") for cells in table]
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text("\n".join([HEAD, *lines, ""]), encoding="utf-8")
    print(" ".join(row))
    return int(any(outcome.failed for outcome in outcomes.values()))


if __name__ == "__main__":
    sys.exit(main())
