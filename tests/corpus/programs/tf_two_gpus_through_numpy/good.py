"""Two halves of a network on two GPUs."""

import numpy as np
import tensorflow as tf

tf.keras.utils.set_random_seed(3)
with tf.device("/GPU:0"):
    first = tf.Variable(tf.random.normal([16, 32]) * 0.1)
with tf.device("/GPU:1"):
    second = tf.Variable(tf.random.normal([32, 4]) * 0.1)
data = np.random.default_rng(3).normal(size=(12, 8, 16)).astype("float32")
outputs = []
for x in data:
    with tf.device("/GPU:0"):
        hidden = tf.nn.relu(tf.matmul(x, first))
    with tf.device("/GPU:1"):
        out = tf.matmul(hidden, second)
        second.assign_sub(0.01 * tf.reduce_mean(out) * tf.ones_like(second))
        outputs.append(tf.reduce_mean(out))
print(f"{float(tf.add_n(outputs)):.4f}")
