"""What fit() itself does is Keras' own: nothing here could go."""

import numpy as np
import tensorflow as tf


class Best(tf.keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        self.last = logs["val_loss"]


tf.keras.utils.set_random_seed(32)
rng = np.random.default_rng(32)
x = rng.normal(size=(160, 8, 8, 1)).astype("float32")
y = rng.integers(0, 3, 160)
model = tf.keras.Sequential(
    [
        tf.keras.layers.Conv2D(4, 3, activation="relu"),
        tf.keras.layers.Flatten(),
        tf.keras.layers.Dense(3),
    ]
)
loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile("adam", loss=loss, metrics=["accuracy"], jit_compile=False)
stop = tf.keras.callbacks.EarlyStopping(patience=3)
model.fit(x, y, validation_split=0.2, batch_size=16, epochs=2, verbose=0, callbacks=[Best(), stop])
print(model.predict(x[:4], verbose=0).shape)
