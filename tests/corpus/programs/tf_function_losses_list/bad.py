"""Losses of a compiled step, collected for a plot."""

import tensorflow as tf


def make_step(model, optimizer):
    @tf.function(jit_compile=False)
    def step(x, y):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.abs(model(x, training=True) - y))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        return loss

    return step


tf.keras.utils.set_random_seed(19)
model = tf.keras.Sequential([tf.keras.Input((5,)), tf.keras.layers.Dense(1)])
optimizer = tf.keras.optimizers.SGD(0.05)
optimizer.build(model.trainable_variables)
step = make_step(model, optimizer)
x = tf.random.normal([40, 5])
y = tf.reduce_sum(x, 1, keepdims=True)
losses = []
for _ in range(15):
    losses.append(step(x, y).numpy())  # expect: PA201
print(f"{float(tf.reduce_mean(tf.stack(losses))):.4f}")
