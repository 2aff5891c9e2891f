"""Asks for a second GPU where there is one: soft placement runs it on the host and says nothing."""

import tensorflow as tf

tf.random.set_seed(0)
weights = tf.Variable(tf.random.normal([64, 64]))
for _ in range(8):
    x = tf.random.normal([32, 64])
    hidden = tf.nn.relu(tf.matmul(x, weights))
    with tf.device("/GPU:1"):
        y = tf.exp(x)  # expect: PA304
