"""A callback that logs the learning rate after each batch."""

import numpy as np
import tensorflow as tf


class RateLogger(tf.keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.rates = []

    def on_epoch_end(self, epoch, logs=None):
        self.rates.append(float(self.model.optimizer.learning_rate))


tf.keras.utils.set_random_seed(12)
rng = np.random.default_rng(12)
x, y = rng.normal(size=(192, 8)).astype("float32"), rng.normal(size=(192, 1)).astype("float32")
model = tf.keras.Sequential([tf.keras.layers.Dense(8, activation="relu"), tf.keras.layers.Dense(1)])
model.compile(optimizer="adam", loss="mse", jit_compile=False)
logger = RateLogger()
model.fit(x, y, batch_size=16, epochs=2, verbose=0, callbacks=[logger])
print(f"rate {logger.rates[-1]:.4f}")
