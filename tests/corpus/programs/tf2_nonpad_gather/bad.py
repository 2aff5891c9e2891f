"""Reads the tokens that are not padding by their positions."""

import tensorflow as tf

tf.keras.utils.set_random_seed(46)
table = tf.Variable(tf.random.normal([30, 6]))
for _ in range(8):
    tokens = tf.random.uniform([8, 10], 0, 30, dtype=tf.int64)
    with tf.GradientTape() as tape:
        vectors = tf.nn.embedding_lookup(table, tokens)
        keep = tokens > 4
        loss = tf.reduce_mean(vectors[keep] ** 2)  # expect: PA204
    gradient = tape.gradient(loss, table)
    table.assign_sub(0.1 * tf.convert_to_tensor(gradient))
print(f"{float(loss):.4f}")
