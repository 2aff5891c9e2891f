"""A map that calls Python for one element after the other, in front of each step."""

import time

import numpy as np
import tensorflow as tf


def read(number):
    """What takes its time on the host."""
    end = time.perf_counter() + 0.03
    while time.perf_counter() < end:
        pass
    return np.full(64, number, "float32")


def example(number):
    return tf.reshape(tf.numpy_function(read, [number], tf.float32), [64])


kernel = tf.Variable(tf.random.normal([64, 8]))
examples = tf.data.Dataset.range(24).map(example)  # expect: PA401
for x in examples.batch(2):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.matmul(x, kernel) ** 2)
    kernel.assign_sub(1e-5 * tape.gradient(loss, kernel))
