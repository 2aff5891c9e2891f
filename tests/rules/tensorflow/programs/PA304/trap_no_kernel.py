"""No GPU has a kernel for these, in a function or outside; a lookup follows its table."""

import tensorflow as tf

table = tf.lookup.StaticHashTable(
    tf.lookup.KeyValueTensorInitializer(["a", "b"], tf.range(2, dtype=tf.int64)), -1
)


@tf.function
def step(text):
    with tf.device("/GPU:0"):
        return table.lookup(text) + 1  # expect: PA304 info


with tf.device("/GPU:0"):
    for _ in range(8):
        found = table.lookup(tf.constant(["a", "c"]))  # expect: PA304 info
        step(tf.constant(["a", "c"]))
