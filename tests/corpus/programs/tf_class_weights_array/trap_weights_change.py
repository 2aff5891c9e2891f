"""The weights change from step to step: each upload brings something new."""

import numpy as np
import tensorflow as tf

tf.keras.utils.set_random_seed(4)
weights = np.linspace(0.5, 1.5, 40).astype("float32")
kernel = tf.Variable(tf.random.normal([10, 40]))
x = tf.random.normal([16, 10])
for _ in range(10):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.matmul(x, kernel) ** 2 * tf.constant(weights))
    kernel.assign_sub(0.1 * tape.gradient(loss, kernel))
    weights = weights * 0.9
print(f"{float(loss):.4f}")
