"""A bank of keys, in a NumPy array that each step compares with."""

import numpy as np
import tensorflow as tf


class Bank:
    def __init__(self, keys):
        self.keys = tf.constant(keys)

    def logits(self, query):
        return tf.matmul(query, self.keys, transpose_b=True)


tf.keras.utils.set_random_seed(43)
rng = np.random.default_rng(43)
bank = Bank(rng.normal(size=(48, 8)).astype("float32"))
encoder = tf.keras.layers.Dense(8)
optimizer = tf.keras.optimizers.Adam(1e-3)
for _ in range(8):
    x = tf.random.normal([16, 12])
    with tf.GradientTape() as tape:
        logits = bank.logits(tf.math.l2_normalize(encoder(x), axis=1))
        loss = tf.reduce_mean(tf.reduce_logsumexp(logits, axis=1) - logits[:, 0])
    variables = encoder.trainable_variables
    optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
print(f"{float(loss):.4f}")
