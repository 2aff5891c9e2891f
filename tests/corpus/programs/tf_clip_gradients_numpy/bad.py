"""Gradients clipped by NumPy before they are applied."""

import numpy as np
import tensorflow as tf

tf.keras.utils.set_random_seed(23)
kernel = tf.Variable(tf.random.normal([10, 10]))
x = tf.random.normal([32, 10])
for _ in range(10):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(tf.matmul(x, kernel) - x))
    gradient = tape.gradient(loss, kernel)
    clipped = np.clip(gradient.numpy(), -0.01, 0.01)
    kernel.assign_sub(tf.constant(clipped))  # expect: PA111
print(f"{float(loss):.4f}")
