"""A GPU that is not there, asked for inside a compiled function: soft placement takes the host."""

import tensorflow as tf

weights = tf.Variable(tf.random.normal([64, 64]))


@tf.function
def step(x):
    hidden = tf.nn.relu(tf.matmul(x, weights))
    with tf.device("/GPU:5"):
        y = tf.exp(x)  # expect: PA304
    return hidden + y


for _ in range(8):
    step(tf.random.normal([32, 64]))
