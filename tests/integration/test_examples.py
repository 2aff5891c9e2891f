"""Each example: every planted line is found with its rule and nothing else; its twin is clean."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
#: Few steps, but enough that what happens once an epoch is rare.
SHORT = {
    "image_classifier": ["--epochs", "1"],
    "char_lm": ["--steps", "20"],
    "gan": ["--epochs", "1"],
    "declearn_vectors": ["--steps", "20"],
    "model_parallel": ["--steps", "20"],
}
#: One device where not named.
DEVICES = {"model_parallel": "cuda:2"}
#: Show one thing each; the others are programs with many strays.
SMALL = {"declearn_vectors", "model_parallel"}


def strays(sandbox: Any, program: Path, run: str) -> tuple[str, set[tuple[int, str]]]:
    """The program's last line, and line and rule of every stray finding in it."""
    args = SHORT[program.parent.name]
    devices = DEVICES.get(program.parent.name, "cuda")
    done = sandbox.placeaudit("trace", "-q", "--simulate", devices, "-o", run, program, *args)
    assert done.returncode == 0, done.stderr
    checked = sandbox.placeaudit("check", "--output-format", "json", run)
    findings = [
        finding
        for finding in json.loads(checked.stdout)["findings"]
        if finding["severity"] != "info"
    ]
    assert checked.returncode == (1 if findings else 0)
    assert {finding["file"] for finding in findings} <= {str(program)}
    return done.stdout.splitlines()[-1], {(found["line"], found["rule"]) for found in findings}


def planted(program: Path) -> set[tuple[int, str]]:
    """Line and rule of every ``# stray: PA103``."""
    return {
        (number, rule)
        for number, line in enumerate(program.read_text().splitlines(), 1)
        for rule in re.findall(r"PA\d+", line.partition("# stray:")[2])
    }


@pytest.mark.parametrize("name", sorted(SHORT))
def test_planted_lines_are_found_and_the_twin_is_clean(sandbox: Any, name: str) -> None:
    program, twin = EXAMPLES / name / "train.py", EXAMPLES / name / "train_fixed.py"
    if name.startswith("declearn"):
        pytest.importorskip("declearn", reason="declearn, an optional extra, is not installed")
    assert len(planted(program)) >= (1 if name in SMALL else 4)
    assert not planted(twin)
    result, found = strays(sandbox, program, "run")
    assert found == planted(program)
    same_result, none = strays(sandbox, twin, "fixed")
    assert none == set()
    assert result == same_result


def test_every_example_is_tested() -> None:
    assert {folder.name for folder in EXAMPLES.iterdir() if folder.is_dir()} == set(SHORT)
