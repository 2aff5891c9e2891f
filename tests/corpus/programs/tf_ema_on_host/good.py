"""An exponential average of the weights, kept by NumPy."""

import numpy as np
import tensorflow as tf

tf.keras.utils.set_random_seed(22)
model = tf.keras.Sequential([tf.keras.layers.Dense(12, activation="relu") for _ in range(5)])
model.build((None, 12))
optimizer = tf.keras.optimizers.SGD(0.05)
variables = model.trainable_variables
average = [tf.Variable(tf.convert_to_tensor(v)) for v in variables]
x = tf.random.normal([16, 12])
for _ in range(10):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(model(x) - x))
    optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
    for kept, variable in zip(average, variables):
        kept.assign(0.9 * kept + 0.1 * tf.convert_to_tensor(variable))
print(f"{sum(float(np.abs(np.asarray(a)).sum()) for a in average):.2f}")
