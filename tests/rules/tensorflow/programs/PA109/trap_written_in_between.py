"""A variable is read before and after its update: two contents."""

import tensorflow as tf

kernel = tf.Variable(tf.random.normal([8, 8]))
seen = []
for _ in range(6):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.matmul(tf.random.normal([4, 8]), kernel) ** 2)
    gradient = tape.gradient(loss, kernel)
    before = kernel.numpy()
    kernel.assign_sub(0.1 * gradient)
    seen.append(kernel.numpy() - before)
    kernel.assign(0.99 * kernel)
