"""Only the first row is wanted."""

import tensorflow as tf

kernel = tf.Variable(tf.ones([8, 40]))
kept = []
for _ in range(6):
    x = tf.random.normal([64, 8])
    with tf.GradientTape() as tape:
        out = tf.matmul(x, kernel)
        loss = tf.reduce_mean(out**2)
    kernel.assign_sub(0.01 * tape.gradient(loss, kernel))
    kept.append(out.numpy()[0])  # expect: PA105
