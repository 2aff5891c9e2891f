"""TensorFlow's own placement log as a cross-check: the program's output stays byte for byte."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from placeaudit.store.reader import read_run
from tests.record.tensorflow.conftest import ENVIRONMENT

PROGRAMS = Path(__file__).parent / "programs"
#: With them the log's second channel is open, as by default.
LOUD = ENVIRONMENT | {"TF_CPP_MIN_LOG_LEVEL": "0"}
OWN_LOG = """
import tensorflow as tf
tf.debugging.set_log_device_placement(True)
print(tf.debugging.get_log_device_placement(), flush=True)
tf.zeros([2]) * 3.0
"""
#: TensorFlow takes the setting until it starts; a session's own concerns the session.
NO_LOG = """
import tensorflow as tf
tf.zeros([2]) * 3.0
tf.debugging.set_log_device_placement(True)
print(tf.debugging.get_log_device_placement(), flush=True)
tf.zeros([2]) + 3.0
for config in (None, tf.compat.v1.ConfigProto(log_device_placement=True)):
    with tf.Graph().as_default():
        with tf.compat.v1.Session(config=config) as session:
            print(session.run(tf.add(1.0, 2.0, name=f"sum{config is None}")), flush=True)
"""
#: What differs from run to run in TensorFlow's own lines.
STAMP = re.compile(rb"^I\d{4} [\d:.]+ +\d+ ", re.MULTILINE)


def traced(run: Path, program: Path, *options: str) -> tuple[bytes, bytes]:
    done = subprocess.run(
        [sys.executable, "-m", "placeaudit", "trace", "-q", "--simulate", "cuda:2", *options,
         "-o", run, program],
        env=LOUD, capture_output=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout, STAMP.sub(b"", done.stderr)


def notes(run: Path) -> list[str]:
    (process,) = (p for p in read_run(run).processes if p.meta["role"] == "main")
    texts: list[str] = process.tables["notes"].column("text").to_pylist()
    return texts


def test_output_is_the_same_and_the_log_agrees(tmp_path: Path) -> None:
    program = PROGRAMS / "streams.py"
    plain = traced(tmp_path / "plain", program)
    assert traced(tmp_path / "run", program, "--tf-placement-log") == plain
    assert b"no newlineend" in plain[1]
    assert b"child" in plain[0]
    (process,) = (p for p in read_run(tmp_path / "run").processes if p.meta["role"] == "main")
    strings = process.tables["strings"].column("text").to_pylist()
    rows = process.tables["placements"].to_pylist()
    placed = {(strings[r["owner"]], strings[r["device"]]) for r in rows}
    assert ("Sum", "GPU:0") in placed  # eager, of the second channel
    assert ("MatMul", "GPU:0") in placed  # in the function, of both
    assert ("Mul", "cpu") in placed
    assert not [text for text in notes(tmp_path / "run") if "placement log" in text]


@pytest.mark.parametrize(
    ("text", "logged", "hidden"),
    [(OWN_LOG, b"Mul: (Mul): ", b"nothing"), (NO_LOG, b"sumFalse: (AddV2): ", b"Mul: (Mul): ")],
)
def test_a_log_of_the_programs_own_is_left_to_it(
    tmp_path: Path, text: str, logged: bytes, hidden: bytes
) -> None:
    program = tmp_path / "own.py"
    program.write_text(text)
    plain = traced(tmp_path / "plain", program)
    assert plain[0].startswith(b"True\n")
    assert logged in plain[0]
    assert logged in plain[1]
    assert hidden not in b"".join(plain)
    assert traced(tmp_path / "run", program, "--tf-placement-log") == plain
