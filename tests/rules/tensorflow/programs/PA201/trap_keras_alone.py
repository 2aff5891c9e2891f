"""Keras with its defaults, which ask for XLA where a GPU is listed: its logs are its own."""

import keras
import numpy as np

model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(1)])
model.compile("sgd", "mse")
x, y = np.ones((32, 8), "float32"), np.ones((32, 1), "float32")
model.fit(x, y, batch_size=8, epochs=2, verbose=0)
for _ in range(8):
    model.train_on_batch(x, y)
