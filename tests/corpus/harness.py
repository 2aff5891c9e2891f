"""The corpus: which programs there are, what their lines are marked with, and running them.

A program is ``programs/NAME/KIND.py`` or, with modules of its own, ``programs/NAME/KIND/train.py``.
The kind is ``bad``, its twin ``good`` (the same computation, nothing stray) or ``trap_…`` (what a
naive rule gets wrong).  ``# expect: PA101`` marks the line of a warning or error,
``# expect: PA201 info`` the line of an info, ``# expect without line: PA308 info`` one that no
recorded event can place; a first line ``# simulate: cuda:2`` asks for more devices than one.
A program that imports TensorFlow has two devices always: TensorFlow chooses its devices once in a
process, and all of its programs share one.  They are left out where TensorFlow is not installed.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = [
    "CORPUS",
    "Outcome",
    "Place",
    "Program",
    "marks",
    "programs",
    "run",
]

CORPUS = Path(__file__).parent / "programs"
_ROOT = Path(__file__).parents[2]
_MARK = re.compile(r"# expect: (PA\d+)(?: (info))?")
_NO_LINE = re.compile(r"# expect without line: (PA\d+) info")
_SIMULATE = re.compile(r"# simulate: (\S+)")
_TENSORFLOW = re.compile(r"^import tensorflow", re.MULTILINE)

#: Rule, file below ``programs/``, line.
Place = tuple[str, str, int]


@dataclass(frozen=True)
class Program:
    """One program of the corpus."""

    name: str
    kind: str
    entry: Path

    @property
    def key(self) -> str:
        return f"{self.name}/{self.kind}"

    @property
    def files(self) -> tuple[Path, ...]:
        """Its source files: one, or all of its folder."""
        if self.entry.parent.name == self.kind:
            return tuple(sorted(self.entry.parent.rglob("*.py")))
        return (self.entry,)

    @property
    def framework(self) -> str:
        """Whose program it is: "torch" or "tensorflow"."""
        text = self.entry.read_text(encoding="utf-8")
        return "tensorflow" if _TENSORFLOW.search(text) else "torch"

    @property
    def devices(self) -> str:
        """What is simulated for it."""
        if self.framework == "tensorflow":
            return "cuda:2"
        first = self.entry.read_text(encoding="utf-8").partition("\n")[0]
        found = _SIMULATE.match(first)
        return found[1] if found else "cuda"


@dataclass(frozen=True)
class Outcome:
    """What became of one program: its findings, its waits, what it printed."""

    findings: tuple[tuple[Place, str], ...]
    """Each finding's place and severity."""
    waits: frozenset[tuple[str, int]]
    """Lines at which the host waited in the steps."""
    matched: frozenset[tuple[str, int]]
    """Lines in the steps that PyTorch's extra-copy pattern matched; empty where not asked."""
    warned: frozenset[tuple[str, int]]
    """Lines in the steps that PyTorch's synchronisation debug mode warned of; likewise."""
    other_patterns: tuple[str, ...]
    """Names of PyTorch's other patterns that matched something."""
    output: str
    error: str
    """Traceback of a program that failed, else ""."""


def programs() -> tuple[Program, ...]:
    """All programs whose framework is installed, twins beside each other."""
    found = []
    lacks = importlib.util.find_spec("tensorflow") is None
    for folder in sorted(path for path in CORPUS.iterdir() if path.is_dir()):
        for path in sorted(folder.iterdir()):
            if path.suffix == ".py":
                found.append(Program(folder.name, path.stem, path))
            elif (path / "train.py").exists():
                found.append(Program(folder.name, path.name, path / "train.py"))
    return tuple(p for p in found if not (lacks and p.framework == "tensorflow"))


def marks(program: Program) -> tuple[set[Place], set[Place]]:
    """The places marked as warnings (or errors), and those marked as infos."""
    warnings: set[Place] = set()
    infos: set[Place] = set()
    for path in program.files:
        file = path.relative_to(CORPUS).as_posix()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            for mark in _MARK.finditer(line):
                (infos if mark[2] else warnings).add((mark[1], file, number))
            infos.update((mark[1], "", 0) for mark in _NO_LINE.finditer(line))
    return warnings, infos


def run(
    chosen: Sequence[Program], *, processes: int = 2, tools: bool = False
) -> dict[str, Outcome]:
    """Run ``chosen`` under simulated devices, each in a trace of its own; outcomes by key.

    Args:
        chosen: The programs.
        processes: Worker processes; each imports torch once and runs its share.  Programs of
            TensorFlow take one more, which starts first: it is the slowest to get going.
        tools: Also run each program under ``torch.profiler`` for PyTorch's own patterns, and in
            PyTorch's synchronisation debug mode.

    Raises:
        RuntimeError: A worker ended before it had run its share.
    """
    torch = [program for program in chosen if program.framework == "torch"]
    other = [program for program in chosen if program.framework != "torch"]
    shares = [other, *(torch[i::processes] for i in range(processes))]
    shares = [share for share in shares if share]
    with tempfile.TemporaryDirectory(prefix="corpus-") as folder:
        started = [
            _start(share, Path(folder) / f"{i}.jsonl", tools=tools)
            for i, share in enumerate(shares)
        ]
        outcomes: dict[str, Outcome] = {}
        for i, (worker, share) in enumerate(zip(started, shares, strict=True)):
            _, errors = worker.communicate()
            outcomes.update(_read(Path(folder) / f"{i}.jsonl"))
            missing = [program.key for program in share if program.key not in outcomes]
            if missing:
                raise RuntimeError(f"no outcome of {missing[0]}: {errors[-2000:]}")
    return outcomes


def _start(share: Sequence[Program], out: Path, *, tools: bool) -> subprocess.Popen[str]:
    environment = os.environ | {
        "PYTHONPATH": str(_ROOT),
        "OMP_NUM_THREADS": "1",
        "KINETO_LOG_LEVEL": "99",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TF_ENABLE_ONEDNN_OPTS": "0",
    }
    worker = "worker.py" if share[0].framework == "torch" else "tensorflow_worker.py"
    return subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name(worker)), str(out)]
        + (["--tools"] if tools else [])
        + [program.key for program in share],
        env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def _read(path: Path) -> Iterator[tuple[str, Outcome]]:
    if not path.exists():
        return
    for line in path.read_text(encoding="utf-8").splitlines():
        yield _outcome(json.loads(line))


def _outcome(row: dict[str, Any]) -> tuple[str, Outcome]:
    return row["key"], Outcome(
        findings=tuple(((rule, file, at), how) for rule, file, at, how in row["findings"]),
        waits=frozenset((file, at) for file, at in row["waits"]),
        matched=frozenset((file, at) for file, at in row["matched"]),
        warned=frozenset((file, at) for file, at in row["warned"]),
        other_patterns=tuple(row["other_patterns"]),
        output=row["output"],
        error=row["error"],
    )
