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

COMPILED = """
import keras
import numpy as np
import tensorflow as tf
import placeaudit

double = tf.function(lambda x: x * 2.0, jit_compile=True)
with placeaudit.simulate("cuda"):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")  # asks for XLA, as a GPU is listed
    model.fit(np.ones((8, 4)), np.ones((8, 1)), verbose=0)
    print(model.jit_compile, float(double(tf.constant(3.0))), double._jit_compile)
print(double._jit_compile, "_jit_compile" in vars(type(double)))
"""


def test_functions_for_xla_run_as_others_do_until_the_end() -> None:
    assert run_python("-c", COMPILED).split() == ["True", "6.0", "None", "True", "False"]


def test_a_second_simulation_sees_none_of_the_first() -> None:
    assert run_python("-c", TWICE).split() == ["0", "2", "0", "1", "0"]
