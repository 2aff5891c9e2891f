"""A custom training loop that keeps the running loss as a Python number."""

import numpy as np
import tensorflow as tf

tf.keras.utils.set_random_seed(0)
features = np.random.default_rng(0).normal(size=(256, 20)).astype("float32")
targets = features[:, :1] * 2
dataset = tf.data.Dataset.from_tensor_slices((features, targets)).batch(16)
model = tf.keras.Sequential([tf.keras.layers.Dense(32, activation="relu"), tf.keras.layers.Dense(1)])
optimizer = tf.keras.optimizers.Adam(1e-2)
total, count = 0.0, 0
for x, y in dataset:
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(model(x, training=True) - y))
    variables = model.trainable_variables
    optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
    total += float(loss)  # expect: PA201
    count += 1
print(f"mean loss {float(total / count):.3f}")
