"""Asks for the GPU that is there."""

import tensorflow as tf

tf.random.set_seed(0)
gpus = tf.config.list_logical_devices("GPU")
weights = tf.Variable(tf.random.normal([64, 64]))
for _ in range(8):
    x = tf.random.normal([32, 64])
    hidden = tf.nn.relu(tf.matmul(x, weights))
    with tf.device(gpus[-1].name):
        y = tf.exp(x)
