"""Reads the tokens that are not padding by their positions."""

import tensorflow as tf

tf.keras.utils.set_random_seed(46)
table = tf.Variable(tf.random.normal([30, 6]))
for _ in range(8):
    tokens = tf.random.uniform([8, 10], 0, 30, dtype=tf.int64)
    with tf.GradientTape() as tape:
        vectors = tf.nn.embedding_lookup(table, tokens)
        keep = tokens > 4
        weight = tf.cast(keep, tf.float32)[..., None]
        loss = tf.reduce_sum(vectors**2 * weight) / (tf.reduce_sum(weight) * 6)
    gradient = tape.gradient(loss, table)
    table.assign_sub(0.1 * tf.convert_to_tensor(gradient))
print(f"{float(loss):.4f}")
