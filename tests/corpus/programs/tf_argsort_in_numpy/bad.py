"""Hard-example mining: NumPy sorts the losses, the order goes back up."""

import numpy as np
import tensorflow as tf

tf.keras.utils.set_random_seed(7)
x_all = np.random.default_rng(7).normal(size=(12, 48, 8)).astype("float32")
weight = tf.Variable(tf.random.normal([8, 1]))
for x in x_all:
    batch = tf.constant(x)
    with tf.GradientTape() as tape:
        losses = tf.squeeze(tf.square(tf.matmul(batch, weight) - 1.0), 1)
        ranks = np.argsort(np.argsort(losses.numpy())).astype("float32")
        hard = tf.constant(ranks / 48.0)  # expect: PA111
        loss = tf.reduce_mean(losses * hard)
    weight.assign_sub(0.05 * tape.gradient(loss, weight))
print(f"{float(loss):.4f}")
