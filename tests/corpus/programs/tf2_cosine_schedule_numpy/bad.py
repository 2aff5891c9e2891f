"""A learning rate computed by NumPy, and a text classifier in a custom loop."""

import numpy as np
import tensorflow as tf

tf.keras.utils.set_random_seed(40)
STEPS = 24
rng = np.random.default_rng(40)
docs = rng.integers(0, 60, (STEPS * 8, 12))
tags = (docs.sum(1) % 2).astype("float32")[:, None]
model = tf.keras.Sequential(
    [tf.keras.layers.Embedding(60, 8), tf.keras.layers.GlobalAveragePooling1D(), tf.keras.layers.Dense(1)]
)
optimizer = tf.keras.optimizers.SGD(0.1)
loss_fn = tf.keras.losses.BinaryCrossentropy(from_logits=True)
trace = []
for step, (x, y) in enumerate(tf.data.Dataset.from_tensor_slices((docs, tags)).batch(8)):
    optimizer.learning_rate = 0.05 * (1 + np.cos(np.pi * step / STEPS))
    with tf.GradientTape() as tape:
        loss = loss_fn(y, model(x, training=True))
    variables = model.trainable_variables
    optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
    trace.append({"step": step, "loss": loss.numpy()})  # expect: PA201
print(f"{float(trace[-1]['loss']):.3f}")
