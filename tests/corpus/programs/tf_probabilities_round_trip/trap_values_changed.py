"""The host mixes its own data in: what goes up is not what came down."""

import numpy as np
import tensorflow as tf

tf.keras.utils.set_random_seed(8)
rng = np.random.default_rng(8)
kernel = tf.Variable(tf.random.normal([6, 10]))
x = tf.random.normal([32, 6])
scores = np.zeros((32, 10), dtype="float32")
for _ in range(10):
    for row, value in enumerate(tf.nn.softmax(tf.matmul(x, kernel)).numpy()):
        scores[row] = value if rng.random() > 0.5 else scores[row]
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(tf.matmul(x, kernel) - tf.constant(scores)))
    kernel.assign_sub(0.1 * tape.gradient(loss, kernel))
print(f"{float(loss):.4f}")
