"""Rows above a threshold."""

import tensorflow as tf

kernel = tf.Variable(tf.random.normal([8, 8]))
for _ in range(6):
    out = tf.matmul(tf.random.normal([16, 8]), kernel)
    chosen = tf.boolean_mask(out, out > 0.0)  # expect: PA204
    scale = tf.reduce_mean(chosen)
    kernel.assign(kernel * (1.0 - 0.01 * scale))
