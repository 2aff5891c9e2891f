"""A compiled step weighs the labelled examples of its batch: nothing has to be counted."""

import numpy as np
import tensorflow as tf

weights = tf.Variable(tf.random.normal([8, 3], seed=1))
rng = np.random.default_rng(0)


@tf.function
def train_step(x, y):
    with tf.GradientTape() as tape:
        each = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.maximum(y, 0), x @ weights)
        labelled = tf.cast(y >= 0, each.dtype)
        loss = tf.reduce_sum(each * labelled) / tf.reduce_sum(labelled)
    weights.assign_sub(0.1 * tape.gradient(loss, weights))
    return loss


for _ in range(8):
    batch = rng.random((16, 8), np.float32)
    loss = train_step(batch, rng.integers(-1, 3, 16))
print(f"{float(loss):.4f}")
