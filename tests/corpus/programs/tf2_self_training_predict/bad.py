"""Pseudo labels: predict() and then fit on what it said, batch by batch."""

import numpy as np
import tensorflow as tf

tf.keras.utils.set_random_seed(44)
rng = np.random.default_rng(44)
model = tf.keras.Sequential([tf.keras.Input((10,)), tf.keras.layers.Dense(4, activation="softmax")])
model.compile(optimizer="sgd", loss="categorical_crossentropy", jit_compile=False)
pool = tf.random.normal([8, 16, 10])
for x in tf.unstack(pool):
    labels = model.predict_on_batch(x)
    model.train_on_batch(x, labels)  # expect: PA101
print(f"{float(tf.reduce_sum(model(pool[0]))):.3f}")
