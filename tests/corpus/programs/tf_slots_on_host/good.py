"""The optimizer's slots are built under a scope of the host, to save device memory."""

import tensorflow as tf

tf.keras.utils.set_random_seed(30)
with tf.device("/GPU:0"):
    model = tf.keras.Sequential([tf.keras.Input((32,)), tf.keras.layers.Dense(32)])
optimizer = tf.keras.optimizers.Adam(1e-3)
optimizer.build(model.trainable_variables)
x = tf.random.normal([16, 32])
for _ in range(8):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(model(x) - x))
    variables = model.trainable_variables
    optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
print(f"{float(loss):.4f}")
