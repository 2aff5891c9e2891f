"""A stateful decoder whose first state is made of zeros by NumPy for each batch."""

import numpy as np
import tensorflow as tf

BATCH, UNITS = 8, 16
tf.keras.utils.set_random_seed(26)
cell = tf.keras.layers.LSTMCell(UNITS)
head = tf.keras.layers.Dense(5)
optimizer = tf.keras.optimizers.Adam(1e-2)
sequence = tf.random.normal([6, BATCH, 5])


def initial_state():
    return [tf.zeros((BATCH, UNITS)), tf.zeros((BATCH, UNITS))]


for _ in range(8):
    with tf.GradientTape() as tape:
        state = initial_state()
        loss = tf.zeros([])
        for x in tf.unstack(sequence):
            out, state = cell(x, state)
            loss += tf.reduce_mean(tf.square(head(out) - x))
    variables = [*cell.trainable_variables, *head.trainable_variables]
    optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
print(f"{float(loss):.3f}")
