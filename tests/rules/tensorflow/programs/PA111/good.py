"""Advantages are normalised by NumPy."""

import tensorflow as tf

kernel = tf.Variable(tf.random.normal([8, 1]))
for _ in range(6):
    x = tf.random.normal([32, 8])
    values = tf.matmul(x, kernel)
    advantages = (values - tf.reduce_mean(values)) / (tf.math.reduce_std(values) + 1e-6)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.matmul(x, kernel) * advantages)
    kernel.assign_sub(0.01 * tape.gradient(loss, kernel))
