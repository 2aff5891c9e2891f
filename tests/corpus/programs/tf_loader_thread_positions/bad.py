"""Batches from a thread; a table of positions goes up with each of them."""

import queue
import threading

import numpy as np
import tensorflow as tf

tf.keras.utils.set_random_seed(20)
table = np.sin(np.arange(160, dtype="float32").reshape(20, 8))


def load(batches):
    rng = np.random.default_rng(20)
    for _ in range(10):
        batches.put(rng.normal(size=(4, 20, 8)).astype("float32"))
    batches.put(None)


def encode(batch):
    return tf.constant(batch) + tf.constant(table)  # expect: PA102


batches = queue.Queue(maxsize=4)
threading.Thread(target=load, args=(batches,), daemon=True).start()
kernel = tf.Variable(tf.random.normal([8, 8]) * 0.1)
while (batch := batches.get()) is not None:
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.matmul(encode(batch), kernel) ** 2)
    kernel.assign_sub(0.1 * tape.gradient(loss, kernel))
print(f"{float(loss):.5f}")
