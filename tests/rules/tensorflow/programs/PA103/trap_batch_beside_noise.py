"""Batches of a data set are uploaded by the line that adds the device's own noise to them."""

import numpy as np
import tensorflow as tf

xs = np.random.rand(96, 8).astype("float32")
kernel = tf.Variable(tf.ones([8, 8]))
for batch in tf.data.Dataset.from_tensor_slices(xs).batch(16):
    noise = tf.constant(np.random.standard_normal((16, 8)), dtype=tf.float32)  # expect: PA103
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.matmul(batch + noise, kernel))
    kernel.assign_sub(0.1 * tape.gradient(loss, kernel))
