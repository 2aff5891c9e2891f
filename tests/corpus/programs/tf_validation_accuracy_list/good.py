"""An accuracy per validation batch, each read as a number."""

import numpy as np
import tensorflow as tf

tf.keras.utils.set_random_seed(27)
rng = np.random.default_rng(27)
x_all = rng.normal(size=(320, 10)).astype("float32")
y_all = (x_all.sum(1) > 0).astype("int64")
train = tf.data.Dataset.from_tensor_slices((x_all[:192], y_all[:192])).batch(16)
valid = tf.data.Dataset.from_tensor_slices((x_all[192:], y_all[192:])).batch(16)
model = tf.keras.Sequential([tf.keras.layers.Dense(2)])
optimizer = tf.keras.optimizers.SGD(0.1)


def evaluate():
    found = tf.keras.metrics.Mean()
    for x, y in valid:
        right = tf.cast(tf.argmax(model(x), 1) == y, tf.float32)  # expect: PA110 info
        found.update_state(tf.reduce_mean(right))
    return float(found.result())


for _ in range(2):
    for x, y in train:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, model(x)))  # expect: PA110 info
        variables = model.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
    accuracy = evaluate()
print(f"{accuracy:.4f}")
