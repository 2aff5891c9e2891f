"""Two frameworks: each left alone where it is not used, both recorded where both are."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from placeaudit.store.reader import read_run
from tests.installed import need

need("torch")
need("tensorflow")

ENVIRONMENT = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0"}

TORCH = """
import sys
import torch
x = torch.ones(8, device="cuda:1")
total = float(x.sum())
assert "tensorflow" not in sys.modules
print(total)
"""

TENSORFLOW = """
import sys
import tensorflow as tf
with tf.device("/GPU:1"):
    y = tf.ones([8])
total = float(tf.reduce_sum(y))
assert "torch" not in sys.modules
print(total)
"""

BOTH = """
import placeaudit
import tensorflow as tf
import torch
x = torch.ones(8, device="cuda:1")
with tf.device("/GPU:1"):
    y = tf.ones([8])
print(float(x.sum()) + float(tf.reduce_sum(y)))
placeaudit.step()
"""


def traced(tmp_path: Path, program: str) -> tuple[str, set[tuple[str, str]]]:
    """What the program prints, and from where to where its record has copies."""
    script = tmp_path / "program.py"
    script.write_text(program)
    done = subprocess.run(
        [
            sys.executable, "-m", "placeaudit", "trace", "-q", "--simulate", "cuda:2",
            "-o", str(tmp_path / "run"), str(script),
        ],
        env=ENVIRONMENT, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (process,) = read_run(tmp_path / "run").processes
    strings = process.tables["strings"].column("text").to_pylist()
    rows = process.tables["copies"].to_pylist()
    return done.stdout, {(strings[r["src_device"]], strings[r["dst_device"]]) for r in rows}


def test_a_torch_program_never_loads_tensorflow(tmp_path: Path) -> None:
    assert traced(tmp_path, TORCH) == ("8.0\n", {("cuda:1", "cpu")})


def test_a_tensorflow_program_never_loads_torch(tmp_path: Path) -> None:
    printed, ways = traced(tmp_path, TENSORFLOW)
    assert printed == "8.0\n"
    # Without a device the sum runs on the first GPU, as TensorFlow chooses.
    assert {("GPU:1", "GPU:0"), ("GPU:0", "cpu")} <= ways
    assert not any(device.startswith("cuda") for way in ways for device in way)


def test_both_in_one_program_are_recorded(tmp_path: Path) -> None:
    printed, ways = traced(tmp_path, BOTH)
    assert printed == "16.0\n"
    assert {("cuda:1", "cpu"), ("GPU:1", "GPU:0")} <= ways
    (process,) = read_run(tmp_path / "run").processes
    strings = process.tables["strings"]["text"].to_pylist()
    kinds = [strings[kind] for kind in process.tables["spans"]["kind"].to_pylist()]
    assert kinds.count("step") == 1
