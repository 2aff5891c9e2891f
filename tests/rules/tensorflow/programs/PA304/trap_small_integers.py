"""Grappler moves what is small and of whole numbers to the host: nobody asked for less."""

import tensorflow as tf


@tf.function
def step(x):
    with tf.device("/GPU:1"):
        count = tf.shape(x)[0] * 2
        return tf.reshape(x, [count, -1]) * tf.cast(count, tf.float32)


for _ in range(8):
    step(tf.random.normal([32, 64]))
