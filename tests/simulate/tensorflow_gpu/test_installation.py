"""Simulated GPUs come and go while TensorFlow has not started."""

from __future__ import annotations

from tests.record.tensorflow.conftest import run_python

TWICE = """
import tensorflow as tf
import placeaudit

gpus = lambda: len(tf.config.list_physical_devices("GPU"))
for count in (2, 1):
    print(gpus())
    with placeaudit.simulate(f"cuda:{count}"):
        print(gpus())
print(gpus())
"""


def test_a_second_simulation_sees_none_of_the_first() -> None:
    assert run_python("-c", TWICE).split() == ["0", "2", "0", "1", "0"]
