"""A policy plays, the loss of each update is kept."""

import numpy as np
import tensorflow as tf


class World:
    def __init__(self):
        self.rng = np.random.default_rng(14)

    def step(self, action):
        return self.rng.normal(size=(1, 6)).astype("float32"), float(action)


tf.keras.utils.set_random_seed(14)
world, policy = World(), tf.keras.Sequential([tf.keras.layers.Dense(3)])
optimizer = tf.keras.optimizers.SGD(0.01)
state = np.zeros((1, 6), dtype="float32")
kept = []
for _ in range(20):
    with tf.GradientTape() as tape:
        logits = policy(state, training=True)
        action = int(tf.argmax(logits[0]))  # expect: PA201 info
        loss = -tf.reduce_mean(tf.nn.log_softmax(logits)[:, action])
    variables = policy.trainable_variables
    optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
    state, reward = world.step(action)
    kept.append(loss)
print(f"{float(tf.reduce_mean(tf.stack(kept))):.3f}")
