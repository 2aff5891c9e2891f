"""A closure that makes time steps anew in each call."""

import numpy as np
import tensorflow as tf


def fourier_features(width):
    frequencies = tf.constant(np.linspace(0.1, 1.0, width).astype("float32"))

    def features(length):
        time = tf.constant(np.arange(length, dtype="float32"))  # expect: PA103
        return tf.sin(time[:, None] * frequencies[None])

    return features


tf.keras.utils.set_random_seed(21)
features = fourier_features(12)
kernel = tf.Variable(tf.random.normal([12, 4]))
for _ in range(10):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.matmul(features(48), kernel) ** 2)
    kernel.assign_sub(0.1 * tape.gradient(loss, kernel))
print(f"{float(loss):.4f}")
