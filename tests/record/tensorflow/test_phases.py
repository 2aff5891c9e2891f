"""Steps, phases and what is said of a TensorFlow program as a whole."""

from __future__ import annotations

import collections
from pathlib import Path
from typing import Any

import pytest

from placeaudit.analyze.run import analyze
from placeaudit.rules.registry import run_rules
from placeaudit.store.reader import read_run
from tests.record.tensorflow.conftest import run_python, trace

PROGRAMS = Path(__file__).parent / "programs"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    run = tmp_path_factory.mktemp("tensorflow") / "run"
    return trace(PROGRAMS / "custom_loop.py", run), run


def test_the_program_prints_what_it_prints_without(recorded: tuple[str, Path]) -> None:
    assert recorded[0] == run_python(PROGRAMS / "custom_loop.py")


def test_updates_are_steps_and_gradients_a_phase(recorded: tuple[str, Path]) -> None:
    (process,) = read_run(recorded[1]).processes
    strings = process.tables["strings"].column("text").to_pylist()
    spans: Any = process.tables["spans"].to_pylist()
    kinds = collections.Counter(strings[row["kind"]] for row in spans)
    assert kinds["optimizer"] == 9  # compiled, each call is one: only the first ran its Python
    assert kinds["backward"] == 5
    assert kinds["module"] >= 1
    audit = analyze(read_run(recorded[1]))
    assert audit.steps.how == "optimizer SGD"
    assert len(audit.steps) == 9


def test_the_read_of_each_step_is_the_finding(recorded: tuple[str, Path]) -> None:
    lines = (PROGRAMS / "custom_loop.py").read_text().splitlines()
    reads = ["    losses.append(float(loss))", "    losses.append(loss.numpy())"]
    findings = run_rules(analyze(read_run(recorded[1])))
    strays = [(f.rule, f.line) for f in findings if f.is_stray]
    assert sorted(strays) == [("PA201", lines.index(read) + 1) for read in reads]
    assert not [f for f in findings if f.rule in {"PA106", "PA902"}]
