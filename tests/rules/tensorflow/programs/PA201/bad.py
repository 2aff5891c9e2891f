"""The loss of each step as a number."""

import tensorflow as tf

kernel = tf.Variable(tf.random.normal([8, 8]))
losses = []
for _ in range(12):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.matmul(tf.random.normal([4, 8]), kernel) ** 2)
    kernel.assign_sub(0.1 * tape.gradient(loss, kernel))
    losses.append(loss.numpy())  # expect: PA201
print(float(tf.reduce_mean(tf.stack(losses))))
