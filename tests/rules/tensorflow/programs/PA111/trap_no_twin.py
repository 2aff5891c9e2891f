"""NumPy's factorisation has no twin on the device: worth knowing, not stray."""

import numpy as np
import tensorflow as tf

kernel = tf.Variable(tf.random.normal([8, 24]))
for _ in range(6):
    x = tf.random.normal([24, 8])
    values = tf.matmul(x, kernel)
    host = values.numpy()
    order = tf.constant(np.linalg.qr(host)[1], tf.float32)  # expect: PA111 info
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.matmul(x, kernel) * order)
    kernel.assign_sub(0.01 * tape.gradient(loss, kernel))
