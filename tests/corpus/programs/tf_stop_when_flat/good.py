"""Stops when the loss no longer falls, which the host has to know."""

import tensorflow as tf

tf.keras.utils.set_random_seed(29)
kernel = tf.Variable(tf.random.normal([12, 1]))
x = tf.random.normal([64, 12])
y = tf.reduce_sum(x, 1, keepdims=True)
best, patience = float("inf"), 0
norms = tf.zeros([])
for _ in range(40):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(tf.matmul(x, kernel) - y))
    gradient = tape.gradient(loss, kernel)
    norms += tf.norm(gradient)
    kernel.assign_sub(0.1 * gradient)
    value = float(loss)  # expect: PA201 info
    if value > best - 1e-4:
        patience += 1
        if patience > 2:
            break
    best = min(best, value)
print(f"{best:.3f}")
