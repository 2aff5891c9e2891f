"""An example's folder: how it is run, what its program is expected to show.

``scenario.toml`` beside ``train.py`` and ``train_fixed.py`` has

======== ==========================================================================
key      meaning
======== ==========================================================================
scenario the row of the README's gallery ("S8"); none for an example of no scenario
system   what the program stands for
needs    packages without which it is skipped
commands commands on the path without which it is skipped ("mpirun")
simulate devices, "cuda" where not given
own      packages that count as the user's own code in trace and check
launcher what starts the processes ("torchrun" and its options), Python where not given
arguments of the program, for a run that is short, but where what is rare stays rare
waiting  what the audit cannot say yet, where that is why nothing is marked
======== ==========================================================================

A line that is stray ends in ``# stray: PA103`` (several rules: ``# stray: PA301 PA302``; some ranks
only: ``# stray: PA201 (rank 0)``); a line of a library, which cannot be marked, is named under
``[[library]]`` by ``file`` (the end of its path), ``function`` and ``rule``; with ``severity =
"info"`` it is what must be found as no stray, and ``file`` and ``function`` may be empty: a place
that has no line.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from tests.installed import need

__all__ = ["EXAMPLES", "Audit", "Example", "examples"]

EXAMPLES: Final = Path(__file__).parents[2] / "examples"
_KEYS: Final = {
    "scenario", "system", "needs", "commands", "simulate", "own", "launcher", "arguments",
    "waiting", "library",
}  # fmt: skip


@dataclass(frozen=True)
class Audit:
    """One program, traced and checked."""

    #: Its standard output.
    output: str
    findings: list[dict[str, Any]]

    @property
    def strays(self) -> list[dict[str, Any]]:
        """Those that fail a check: warnings and errors."""
        return [finding for finding in self.findings if finding["severity"] != "info"]


@dataclass(frozen=True)
class Example:
    """A folder of ``examples/``."""

    folder: Path
    settings: dict[str, Any]

    @classmethod
    def read(cls, folder: Path) -> Example:
        """Read ``scenario.toml``; unknown keys are errors."""
        settings = tomllib.loads((folder / "scenario.toml").read_text(encoding="utf-8"))
        unknown = settings.keys() - _KEYS
        assert not unknown, f"{folder.name}/scenario.toml: {sorted(unknown)}"
        return cls(folder, settings)

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def program(self) -> Path:
        return self.folder / "train.py"

    @property
    def twin(self) -> Path:
        return self.folder / "train_fixed.py"

    def skip_without_needs(self) -> None:
        """Skip the test where a package or a command is missing."""
        for package in self.settings.get("needs", []):
            need(package)
        for command in self.settings.get("commands", []):
            if shutil.which(command) is None:
                pytest.skip(f"{command} is not installed")

    def marked(self) -> set[tuple[str, int | str, str]]:
        """File, line or function, and rule of every stray that is expected."""
        return {
            (str(self.program), number, rule)
            for number, line in enumerate(self.program.read_text(encoding="utf-8").splitlines(), 1)
            for rule in re.findall(r"PA\d+", line.partition("# stray:")[2])
        } | self._library(is_stray=True)

    def remarks(self) -> set[tuple[str, int | str, str]]:
        """File, function and rule of what is expected of libraries as no stray."""
        return self._library(is_stray=False)

    def _library(self, *, is_stray: bool) -> set[tuple[str, int | str, str]]:
        return {
            (entry["file"], entry["function"], entry["rule"])
            for entry in self.settings.get("library", [])
            if (entry.get("severity") != "info") is is_stray
        }

    def found(self, audit: Audit, *, is_stray: bool = True) -> set[tuple[str, int | str, str]]:
        """The same of what was found."""
        found = [f for f in audit.findings if (f["severity"] != "info") is is_stray]
        return {self._place(finding) for finding in found}

    def marked_ranks(self) -> dict[tuple[int, str], list[int]]:
        """By line and rule: the ranks that a mark names, where it names any."""
        return {
            (number, mark[1]): [int(rank) for rank in re.findall(r"\d+", mark[2])]
            for number, line in enumerate(self.program.read_text(encoding="utf-8").splitlines(), 1)
            for mark in re.finditer(r"(PA\d+) \(ranks? ([\d ]+)\)", line.partition("# stray:")[2])
        }

    def _place(self, finding: dict[str, Any]) -> tuple[str, int | str, str]:
        file = str(finding["file"])
        for entry in self.settings.get("library", []):
            named = (entry["function"], entry["rule"]) == (finding["function"], finding["rule"])
            if named and file.endswith(entry["file"]):
                return entry["file"], entry["function"], entry["rule"]
        return file, finding["line"], finding["rule"]

    def audit(self, sandbox: Any, program: Path) -> Audit:
        """Trace and check ``program`` as a user would."""
        run = f"run-{program.stem}"
        done = _run(sandbox, self._command(run, program))
        assert done.returncode == 0, done.stderr
        checked = sandbox.placeaudit("check", "--output-format", "json", *self._own(), run)
        audit = Audit(done.stdout, json.loads(checked.stdout)["findings"])
        assert checked.returncode == (1 if audit.strays else 0), checked.stderr
        return audit

    def _own(self) -> list[str]:
        return [word for package in self.settings.get("own", []) for word in ("--own", package)]

    def _command(self, run: str, program: Path) -> list[str]:
        launcher = self.settings.get("launcher", ["python"])
        if launcher[0] == "torchrun":  # the one that belongs to the Python of the tests
            launcher = ["python", "-m", "torch.distributed.run", *launcher[1:]]
        launcher = [sys.executable if word == "python" else word for word in launcher]
        devices = self.settings.get("simulate", "cuda")
        return [
            *launcher, "-m", "placeaudit", "trace", "-q", "--simulate", devices, "-o", run,
            *self._own(), str(program), *self.settings.get("arguments", []),
        ]  # fmt: skip


def _run(sandbox: Any, command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=sandbox.path, env=sandbox.environment,
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


def examples() -> Iterator[Example]:
    """All of them."""
    for folder in sorted(path for path in EXAMPLES.iterdir() if path.is_dir()):
        yield Example.read(folder)
