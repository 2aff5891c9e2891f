"""A batch put together of samples that go up one by one."""

import numpy as np
import tensorflow as tf


class Replay:
    def __init__(self):
        self.rng = np.random.default_rng(16)
        self.frames = [self.rng.normal(size=(20,)).astype("float32") for _ in range(200)]

    def sample(self, size):
        chosen = self.rng.integers(0, 200, size)
        return tf.stack([tf.constant(self.frames[i]) for i in chosen])  # expect: PA106


tf.keras.utils.set_random_seed(16)
replay, critic = Replay(), tf.keras.Sequential([tf.keras.layers.Dense(1)])
optimizer = tf.keras.optimizers.SGD(0.01)
for _ in range(8):
    batch = replay.sample(16)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean((critic(batch) - 1.0) ** 2)
    variables = critic.trainable_variables
    optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
print(f"{float(loss):.4f}")
