"""Noise for every step."""

import numpy as np
import tensorflow as tf

kernel = tf.Variable(tf.ones([8, 8]))
for _ in range(6):
    noise = tf.constant(np.random.standard_normal((16, 8)), dtype=tf.float32)  # expect: PA103
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.matmul(noise, kernel))
    kernel.assign_sub(0.1 * tape.gradient(loss, kernel))
