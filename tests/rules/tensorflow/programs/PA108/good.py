"""A pipeline over two GPUs."""

import tensorflow as tf

with tf.device("/GPU:0"):
    first = tf.Variable(tf.random.normal([8, 16]))
with tf.device("/GPU:1"):
    second = tf.Variable(tf.random.normal([16, 4]))
for _ in range(6):
    with tf.device("/GPU:0"):
        hidden = tf.matmul(tf.random.normal([8, 8]), first)
    with tf.device("/GPU:1"):
        loss = tf.reduce_mean(tf.matmul(hidden, second))
        second.assign_sub(0.01 * loss * tf.ones_like(second))
