"""Attention whose causal mask is made by NumPy in every call."""

import numpy as np
import tensorflow as tf


class Attention(tf.Module):
    def __init__(self, width):
        super().__init__()
        self.qkv = tf.Variable(tf.random.normal([width, 3 * width]) * 0.1)

    def mask(self, length):
        return np.tril(np.ones((length, length), dtype="float32"))

    def __call__(self, x):
        q, k, v = tf.split(tf.matmul(x, self.qkv), 3, axis=-1)
        scores = tf.matmul(q, k, transpose_b=True)
        scores -= 1e9 * (1.0 - tf.constant(self.mask(x.shape[1])))  # expect: PA103
        return tf.matmul(tf.nn.softmax(scores), v)


tf.keras.utils.set_random_seed(5)
attention = Attention(12)
x = tf.random.normal([4, 10, 12])
for _ in range(10):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(attention(x) ** 2)
    attention.qkv.assign_sub(0.1 * tape.gradient(loss, attention.qkv))
print(f"{float(loss):.6f}")
