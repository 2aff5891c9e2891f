"""Guards in TensorFlow programs: refused at the line, before the copy, and nothing else is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import placeaudit
from tests.record.tensorflow.conftest import ENVIRONMENT, copies_of, run_python, trace

PROGRAM = Path(__file__).parent / "programs" / "guarded.py"
HOST, FIRST, SECOND = "cpu", "GPU:0", "GPU:1"
REFUSED = {
    "implicit upload": ("h2d", 64, HOST, FIRST),
    "implicit upload again": ("h2d", 64, HOST, FIRST),  # the first was not made
    "between devices": ("d2d", 64, SECOND, FIRST),
    "constant": ("h2d", 24, HOST, FIRST),
    "list": ("h2d", 8, HOST, FIRST),
    "assign": ("h2d", 64, HOST, FIRST),
    "array operand": ("h2d", 64, HOST, FIRST),
    "variable elsewhere": ("d2d", 64, SECOND, FIRST),
    "numpy": ("d2h", 64, FIRST, HOST),
    "float": ("d2h", 4, FIRST, HOST),
    "bool": ("d2h", 1, FIRST, HOST),
    "asarray": ("d2h", 64, FIRST, HOST),
    "ufunc": ("d2h", 64, FIRST, HOST),
    "format": ("d2h", 64, FIRST, HOST),
    "cpu()": ("d2h", 64, FIRST, HOST),
    "gpu()": ("h2d", 64, HOST, FIRST),
    "wait of a read": ("sync", 64, FIRST, HOST),
    "wait of where": ("sync", 0, FIRST, ""),
    "known function": ("d2h", -1, FIRST, HOST),  # traced before anybody looked: no sizes
    "known function again": ("d2h", -1, FIRST, HOST),
    "new function": ("d2h", 16, FIRST, HOST),
    "argument first": ("h2d", 64, HOST, FIRST),
}
PASSED = (
    "other direction",
    "integers stay",
    "number",
    "host read",
    "clean function",
    "on the device",
    "allowed",
    "seen before",
    "logged",
)
TESTS = """
import pytest
import tensorflow as tf

import placeaudit

@pytest.fixture
def x():
    return tf.random.normal([4, 4])

@pytest.mark.no_stray_copies
def test_reads_in_every_turn(x):
    for _ in range(5):
        float(tf.reduce_sum(x))

@pytest.mark.no_stray_copies
def test_stays(x):
    for _ in range(5):
        tf.reduce_sum(x)

@pytest.mark.max_transfers(1, direction="d2h")
def test_one_too_many(x):
    x.numpy()
    x.numpy()

def test_guarded(x):
    with pytest.raises(placeaudit.TransferError):
        with placeaudit.guard(d2h="disallow"):
            x.numpy()
"""


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    cases: dict[str, Any] = json.loads(run_python(PROGRAM).splitlines()[-1])
    return cases


def test_what_crosses_is_refused_at_its_line(found: dict[str, Any]) -> None:
    keys = ("direction", "bytes", "src", "dst")
    seen = {name: tuple(found[name][key] for key in keys) for name in REFUSED if found[name]}
    assert seen == REFUSED
    lines = PROGRAM.read_text().splitlines()
    for name in REFUSED:
        (number,) = (n for n, line in enumerate(lines, 1) if f'case("{name}"' in line)
        assert found[name]["text"] == lines[number - 1].strip()
        assert f"at {PROGRAM}:{number}" in found[name]["message"]


def test_only_a_functions_first_call_is_refused_late(found: dict[str, Any]) -> None:
    late = {name for name in REFUSED if "made already" in found[name]["message"]}
    assert late == {"known function", "new function"}
    assert "inside inside, called at" in found["known function"]["message"]


def test_what_does_not_cross_or_is_allowed_passes(found: dict[str, Any]) -> None:
    assert {name: found[name] for name in PASSED} == dict.fromkeys(PASSED)
    (line,) = found["log"]  # once a line
    assert line.startswith("device-to-host copy of 64 bytes from GPU:0 to cpu (numpy), at ")
    assert found["left"] == []


def test_an_assertion_finds_the_read(found: dict[str, Any]) -> None:
    assert found["assertion"] == ["PA201"]


def test_markers_of_pytest(tmp_path: Path) -> None:
    (tmp_path / "test_program.py").write_text(TESTS)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
         "--placeaudit-simulate=cuda:2", "test_program.py"],
        cwd=tmp_path, env=ENVIRONMENT | {"COLUMNS": "200"}, capture_output=True, text=True,
        timeout=300, check=False,
    )  # fmt: skip
    failed = [line for line in done.stdout.splitlines() if line.startswith("FAILED")]
    assert [line.split("::")[1].split()[0] for line in failed] == [
        "test_reads_in_every_turn",
        "test_one_too_many",
    ], done.stdout + done.stderr
    assert "PA201" in done.stdout
    assert "2 passed" in done.stdout


def test_a_record_keeps_what_was_allowed_and_not_what_was_refused(tmp_path: Path) -> None:
    program = PROGRAM.parent / "guarded_trace.py"
    # The trace has seen the function: its first call under the guard is refused before it runs.
    assert trace(program, tmp_path / "run").splitlines() == ["refused", "False 64"] * 2 + ["GPU:0"]
    reads = [row for row in copies_of(tmp_path / "run") if row["operation"] == "numpy"]
    lines = program.read_text().splitlines()
    assert [lines[row["line"] - 1].strip() for row in reads] == [
        "x.numpy()  # allowed",
        "x.numpy()  # plain",
    ]
    assert sum(r["operation"] == "_Send" for r in copies_of(tmp_path / "run")) == 2
    rows = placeaudit.load(tmp_path / "run").copies.to_pylist()
    assert {row["allowed"] for row in rows if row["operation"] == "numpy"} == {None, "metrics once"}
