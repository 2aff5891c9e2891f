"""Noise is mixed into host data before it goes up: the host needs it."""

import numpy as np
import tensorflow as tf

tf.keras.utils.set_random_seed(1)
rng = np.random.default_rng(1)
images = rng.normal(size=(10, 16, 24)).astype("float32")
kernel = tf.Variable(tf.random.normal([24, 24]) * 0.1)
for image in images:
    noise = rng.normal(size=image.shape).astype("float32")
    noisy = tf.constant(image + 0.1 * noise)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(tf.matmul(noisy, kernel) - tf.constant(image)))
    kernel.assign_sub(0.1 * tape.gradient(loss, kernel))
print(f"{float(loss):.4f}")
