"""Three epochs over the same arrays."""

import numpy as np
import tensorflow as tf

rng = np.random.default_rng(0)
batches = [rng.normal(size=(16, 8)).astype("float32") for _ in range(4)]
batches = [tf.constant(batch) for batch in batches]
kernel = tf.Variable(tf.ones([8, 8]))
for _ in range(3):
    for batch in batches:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.matmul(batch, kernel))
        kernel.assign_sub(0.1 * tape.gradient(loss, kernel))
