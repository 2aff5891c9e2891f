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
import tensorflow as tf
import placeaudit

with placeaudit.simulate("cuda"):
    variable = tf.Variable(2.0)
    double = tf.function(lambda x: x * variable, jit_compile=True)
    print(float(double(tf.constant(3.0))), double._jit_compile)
"""

SHOWN = """
import tensorflow as tf
import placeaudit

def short(thing):
    return thing.device.rpartition("device:")[2]

with placeaudit.simulate("cuda:2"):
    tensor, variable = tf.ones([2]), tf.Variable([1.0, 2.0])
    with tf.device("/GPU:1"):
        second = tf.Variable(3.0)
    with tf.device("/CPU:0"):
        host = tf.ones([2])

    @tf.function
    def compiled(x):
        with tf.device("/GPU:1"):
            inner = x * variable
        print(short(inner), short(inner.op))
        return x + inner

    print(*map(short, (tensor, variable, second, second.value(), host, compiled(tensor))))
    print(short(tf.IndexedSlices(tensor, tf.range(2))))
    with tf.device(second.device), tf.device(tensor.device):
        print(short(tf.ones([2])))
print(short(tensor))
"""


def test_functions_that_the_program_has_xla_compile_run_with_variables_on_a_gpu() -> None:
    assert run_python("-c", COMPILED).split() == ["6.0", "True"]


def test_a_second_simulation_sees_none_of_the_first() -> None:
    assert run_python("-c", TWICE).split() == ["0", "2", "0", "1", "0"]


def test_a_program_reads_on_which_gpu_its_tensors_are() -> None:
    lines = run_python("-c", SHOWN).splitlines()
    assert lines == ["GPU:1 GPU:1", "GPU:0 GPU:0 GPU:1 GPU:1 CPU:0 GPU:0", *["GPU:0"] * 2, "CPU:1"]
