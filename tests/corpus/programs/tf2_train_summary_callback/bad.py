"""A callback prints a weight's norm after each batch of fit()."""

import numpy as np
import tensorflow as tf


class Norms(tf.keras.callbacks.Callback):
    def __init__(self, every):
        super().__init__()
        self.every, self.seen = every, 0

    def on_train_batch_end(self, batch, logs=None):
        self.seen += 1
        print("norm", float(tf.norm(self.model.layers[0].kernel)))  # expect: PA201


tf.keras.utils.set_random_seed(48)
rng = np.random.default_rng(48)
x = rng.normal(size=(240, 6)).astype("float32")
model = tf.keras.Sequential([tf.keras.layers.Dense(4), tf.keras.layers.Dense(1)])
model.compile(optimizer="rmsprop", loss="mae", jit_compile=False)
model.fit(x, x[:, :1], batch_size=10, epochs=1, verbose=0, callbacks=[Norms(12)])
print(f"{float(tf.reduce_sum(model.layers[0].kernel)):.3f}")
