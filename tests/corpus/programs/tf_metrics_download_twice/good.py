"""Two metrics, each of which brings the same predictions to the host."""

import numpy as np
import tensorflow as tf


def precision(predicted, actual):
    return float(((predicted > 0.5) & (actual > 0.5)).sum() / max(1, (predicted > 0.5).sum()))


def calibration(predicted):
    return float(np.histogram(predicted, bins=10)[0].max())


tf.keras.utils.set_random_seed(6)
rng = np.random.default_rng(6)
x_all = rng.normal(size=(320, 12)).astype("float32")
y_all = (x_all[:, :4] > 0).astype("float32")
model = tf.keras.Sequential([tf.keras.layers.Dense(4, activation="sigmoid")])
optimizer = tf.keras.optimizers.SGD(0.5)
scores = []
for begin in range(0, 320, 32):
    x, actual = x_all[begin : begin + 32], y_all[begin : begin + 32]
    with tf.GradientTape() as tape:
        out = model(x, training=True)
        loss = tf.reduce_mean(tf.keras.losses.binary_crossentropy(actual, out))
    variables = model.trainable_variables
    optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
    predicted = out.numpy()
    scores.append(precision(predicted, actual))
    scores.append(calibration(predicted))
print(f"{sum(scores):.2f}")
