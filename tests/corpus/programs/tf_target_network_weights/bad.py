"""A target network follows the online one by get_weights and set_weights."""

import tensorflow as tf


def q_network():
    return tf.keras.Sequential(
        [tf.keras.Input((6,)), tf.keras.layers.Dense(16, activation="relu"), tf.keras.layers.Dense(3)]
    )


tf.keras.utils.set_random_seed(24)
online, target = q_network(), q_network()
optimizer = tf.keras.optimizers.SGD(0.05)
for _ in range(10):
    states = tf.random.normal([32, 6])
    goal = tf.reduce_max(target(states), axis=1)
    with tf.GradientTape() as tape:
        value = tf.reduce_max(online(states), axis=1)
        loss = tf.reduce_mean(tf.square(1.0 + 0.9 * goal - value))
    variables = online.trainable_variables
    optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
    target.set_weights(online.get_weights())  # expect: PA101
print(f"{float(loss):.4f}")
