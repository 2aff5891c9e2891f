"""Reads the loss once in a dozen steps."""

import tensorflow as tf

tf.keras.utils.set_random_seed(0)
kernel = tf.Variable(tf.random.normal([8, 8]))
x = tf.random.normal([32, 8])
for step in range(36):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.matmul(x, kernel) ** 2)
    kernel.assign_sub(0.1 * tape.gradient(loss, kernel))
    if step % 12 == 0:
        print(step, float(loss))
print(f"{float(loss):.4f}")
