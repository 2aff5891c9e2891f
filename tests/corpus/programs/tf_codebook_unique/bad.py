"""How many codes of a codebook are in use, counted in each step."""

import tensorflow as tf

tf.keras.utils.set_random_seed(11)
codebook = tf.Variable(tf.random.normal([32, 6]))
used = tf.zeros([], tf.int64)
for _ in range(10):
    z = tf.random.normal([64, 6])
    distances = tf.reduce_sum((z[:, None] - codebook[None]) ** 2, -1)
    codes = tf.argmin(distances, axis=1)
    values, _ = tf.unique(codes)  # expect: PA204
    used += tf.size(values, out_type=tf.int64)
    codebook.assign(0.99 * codebook + 0.01 * tf.reduce_mean(z, axis=0))
print(f"{int(used)} codes")
