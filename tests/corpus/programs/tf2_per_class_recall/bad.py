"""Recall of each class, read one by one after every evaluation batch."""

import tensorflow as tf

tf.keras.utils.set_random_seed(49)
CLASSES = 10
kernel = tf.Variable(tf.random.normal([6, CLASSES]))
table = []
for _ in range(8):
    x = tf.random.normal([32, 6])
    y = tf.one_hot(tf.random.uniform([32], 0, CLASSES, dtype=tf.int32), CLASSES)
    with tf.GradientTape() as tape:
        logits = tf.matmul(x, kernel)
        loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(y, logits))
    kernel.assign_sub(0.1 * tape.gradient(loss, kernel))
    hits = tf.reduce_sum(y * tf.one_hot(tf.argmax(logits, 1), CLASSES), axis=0)
    table.append([float(hits[c]) for c in range(CLASSES)])  # expect: PA106
print(f"{float(tf.reduce_sum(tf.convert_to_tensor(table))):.0f}")
