"""No GPU has a kernel for these: nobody can run them there."""

import tensorflow as tf

counts = tf.random.uniform([16, 16], maxval=9, dtype=tf.int32)
with tf.device("/GPU:0"):
    for _ in range(8):
        product = tf.matmul(counts, counts)  # expect: PA304 info
        text = tf.strings.as_string(tf.constant(0.5))  # expect: PA304 info
