"""A variable is read twice, which nobody wrote in between."""

import tensorflow as tf

kernel = tf.Variable(tf.random.normal([8, 8]))
seen = []
for _ in range(6):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.matmul(tf.random.normal([4, 8]), kernel) ** 2)
    gradient = tape.gradient(loss, kernel)
    kernel.assign_sub(0.1 * gradient)
    before = kernel.numpy()
    seen.append((before, kernel.numpy()))  # expect: PA109
