"""Slices of an array, and a map that costs next to nothing beside the step."""

import tensorflow as tf

kernel = tf.Variable(tf.random.normal([768, 768]))
data = tf.random.normal([24, 64])
plain = tf.data.Dataset.from_tensor_slices(data).batch(2)
mapped = tf.data.Dataset.from_tensor_slices(data).map(lambda row: row / 2.0).batch(2)
for batches in (plain, mapped):
    for x in batches:
        with tf.GradientTape() as tape:
            hidden = kernel
            for _ in range(3):
                hidden = tf.matmul(hidden, kernel) / 768.0
            loss = tf.reduce_mean(hidden) * tf.reduce_mean(x)
        kernel.assign_sub(1e-5 * tape.gradient(loss, kernel))
