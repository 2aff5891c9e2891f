"""Mixup with coefficients drawn by NumPy."""

import numpy as np
import tensorflow as tf


def mixup(x, y, alpha=0.2):
    coefficient = np.random.uniform(0.0, alpha, size=(x.shape[0], 1)).astype("float32")
    coefficient = tf.constant(coefficient)  # expect: PA103
    return (1 - coefficient) * x + coefficient * x[::-1], (1 - coefficient) * y + coefficient * y[::-1]


tf.keras.utils.set_random_seed(41)
x_all, y_all = tf.random.normal([320, 10]), tf.random.normal([320, 1])
kernel = tf.Variable(tf.random.normal([10, 1]))
seen = 0
for begin in range(0, 320, 32):
    x, y = mixup(x_all[begin : begin + 32], y_all[begin : begin + 32])
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean((tf.matmul(x, kernel) - y) ** 2)
    kernel.assign_sub(0.1 * tape.gradient(loss, kernel))
    seen += 1
print(f"{seen} batches")
