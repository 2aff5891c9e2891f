"""Rows above a threshold."""

import tensorflow as tf

kernel = tf.Variable(tf.random.normal([8, 8]))
for _ in range(6):
    out = tf.matmul(tf.random.normal([16, 8]), kernel)
    weight = tf.cast(out > 0.0, tf.float32)
    scale = tf.reduce_sum(out * weight) / tf.reduce_sum(weight)
    kernel.assign(kernel * (1.0 - 0.01 * scale))
