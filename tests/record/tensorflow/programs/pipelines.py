"""Pipelines of tf.data, each iterated; what is recorded of them must not change what they give."""

import numpy as np
import tensorflow as tf


def read(number):
    return np.float32(number)


def python(number):
    return tf.reshape(tf.numpy_function(read, [number], tf.float32), [])


def numbers():
    yield from range(3)


data = tf.data.Dataset.range(6)
pipelines = {
    "serial": data.map(lambda n: n + 1).batch(2),
    "python": data.filter(lambda n: n >= 0).map(python).prefetch(1),
    "generator": tf.data.Dataset.from_generator(numbers, output_signature=tf.TensorSpec([])),
    "no prefetch": data.map(lambda n: n + 1, num_parallel_calls=2).batch(3),
    "prefetch": data.map(lambda n: n + 1, num_parallel_calls=2).batch(3).prefetch(1),
    "slices": data.batch(2),
    "kept": data.map(python).cache().batch(2),
}
for name, pipeline in pipelines.items():
    for _ in range(2):
        print(name, [element.numpy().tolist() for element in pipeline])


@tf.function
def inside():
    total = tf.constant(0, tf.int64)
    for element in data.map(lambda n: n * 2):
        total += element
    return total


print(int(inside()))
