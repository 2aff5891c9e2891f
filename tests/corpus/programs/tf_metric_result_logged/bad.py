"""A Keras metric whose result is logged after every update."""

import logging

import tensorflow as tf

log = logging.getLogger("train")
tf.keras.utils.set_random_seed(28)
kernel = tf.Variable(tf.random.normal([8, 2]))
error = tf.keras.metrics.MeanSquaredError()
for step in range(12):
    x = tf.random.normal([16, 8])
    with tf.GradientTape() as tape:
        out = tf.matmul(x, kernel)
        loss = tf.reduce_mean(out**2)
    kernel.assign_sub(0.1 * tape.gradient(loss, kernel))
    error.update_state(x[:, :2], out)
    log.info("step %d error %.3f", step, error.result().numpy())  # expect: PA201
print(f"{float(error.result()):.4f}")
