"""A score read for each message, between training steps of Keras."""

import keras
import numpy as np

model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(1)])
model.compile("sgd", "mse")
found = 0
for number in range(8):
    message = np.full((1, 8), number, "float32")
    if float(model(message, training=False)[0, 0]) > 1.0:  # expect: PA201
        found += 1
    model.train_on_batch(message, message[:, :1])
