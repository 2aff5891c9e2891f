"""A model with a train_step of its own, run eagerly while it was written."""

import numpy as np
import tensorflow as tf


class Regressor(tf.keras.Model):
    def __init__(self):
        super().__init__()
        self.hidden = tf.keras.layers.Dense(16, activation="relu")
        self.out = tf.keras.layers.Dense(1)
        self.norms = []

    def call(self, x):
        return self.out(self.hidden(x))

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((self(x, training=True) - y) ** 2)
        gradients = tape.gradient(loss, self.trainable_variables)
        norm = tf.linalg.global_norm(gradients)
        self.norms.append(norm)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables))
        return {"loss": loss}


tf.keras.utils.set_random_seed(13)
rng = np.random.default_rng(13)
x = rng.normal(size=(160, 6)).astype("float32")
model = Regressor()
model.compile(optimizer="sgd", run_eagerly=True)
model.fit(x, x[:, :1], batch_size=16, epochs=1, verbose=0)
print(f"{float(tf.add_n([tf.convert_to_tensor(n) for n in model.norms])):.3f}")
