"""What fit waits for inside of its step is not known, and its own stages are not the program's."""

import keras
import numpy as np

model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(1)])
model.compile("sgd", "mse")
x, y = np.random.default_rng(0).normal(size=(64, 8)), np.ones((64, 1))
model.fit(x, y, batch_size=8, epochs=2, verbose=0, shuffle=True, class_weight={0: 1.0, 1: 2.0})
