"""Each rule's programs, run for real under the simulated device.

``# expect: PA101`` marks the line of a warning, ``# expect: PA201 info`` one of an info,
``# expect: PA206 error`` one of an error.  Every warning and error must be marked, and in
``good.py`` and ``trap_*.py`` the folder's own rule says nothing that is not.
``# simulate: cuda:2`` asks for other devices than one.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from placeaudit.analyze.run import analyze
from placeaudit.model import Finding
from placeaudit.rules.registry import run_rules
from placeaudit.store.reader import read_run
from tests.installed import need

HERE = Path(__file__).parent
PROGRAMS = sorted(HERE.glob("PA*/*.py"))
ENVIRONMENT = os.environ | {"PYTHONPATH": str(HERE.parents[1]), "OMP_NUM_THREADS": "1"}
SIMULATE = re.compile(r"^# simulate: (\S+)$", re.MULTILINE)
EXPECT = re.compile(r"# expect: (PA\d+)(?: (info|error))?")

pytest.importorskip("torch")


def expected(program: Path) -> set[tuple[str, int, str]]:
    return {
        (match[1], number, match[2] or "warning")
        for number, line in enumerate(program.read_text().splitlines(), 1)
        for match in EXPECT.finditer(line)
    }


def audit(program: Path, run: Path, commands: Any) -> tuple[Finding, ...]:
    asked = SIMULATE.search(program.read_text())
    devices = asked[1] if asked else "cuda"
    arguments = ["trace", "--simulate", devices, "-q", "-o", run, program]
    if is_of_tensorflow(program):
        done = subprocess.run(
            [sys.executable, "-m", "placeaudit", *map(str, arguments)],
            cwd=run.parent, env=ENVIRONMENT, capture_output=True, text=True, timeout=300,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    else:
        commands.run(*arguments, cwd=run.parent)
    return run_rules(analyze(read_run(run)))


def is_of_tensorflow(program: Path) -> bool:
    """Then it needs a process that has not imported torch, and TensorFlow."""
    return "import tensorflow" in program.read_text()


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_each_marked_line_is_found_and_nothing_else(
    program: Path, tmp_path: Path, commands: Any
) -> None:
    if is_of_tensorflow(program):
        need("tensorflow")
    findings = audit(program, tmp_path / "run", commands)
    found = {(f.rule, f.line, f.severity.value) for f in findings}
    marked = expected(program)
    assert all(f.file == str(program) for f in findings if f.file)
    assert {f for f in found if f[2] != "info"} == {m for m in marked if m[2] != "info"}
    assert {m for m in marked if m[2] == "info"} <= found
    if not program.stem.startswith("bad"):
        own = {f for f in found if f[0] == program.parent.name}
        small = {f for f in own if f[0] == "PA202"}
        assert own - small <= marked


def test_every_rule_of_copies_and_waits_has_its_programs() -> None:
    from placeaudit.rules.registry import RULES

    for rule in RULES:
        if not rule.code.startswith("PA9"):
            assert {"bad.py", "good.py"} <= {p.name for p in (HERE / rule.code).iterdir()}
