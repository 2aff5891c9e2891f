"""Heat maps of every batch are normalised on the host and laid over the features."""

import numpy as np
import tensorflow as tf

tf.keras.utils.set_random_seed(42)
conv = tf.keras.layers.Conv2D(6, 3, padding="same")
optimizer = tf.keras.optimizers.SGD(0.01)
for _ in range(8):
    images = tf.random.normal([4, 12, 12, 3])
    with tf.GradientTape() as tape:
        features = conv(images)
        heat = np.maximum(features.numpy(), 0.0)
        heat = heat / (heat.max() + 1e-6)
        loss = tf.reduce_mean(features * tf.constant(heat))  # expect: PA111
    variables = conv.trainable_variables
    optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
print(f"{float(loss):.4f}")
