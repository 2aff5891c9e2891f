"""Prints the loss of every batch of a compiled step."""

import tensorflow as tf

tf.keras.utils.set_random_seed(0)
model = tf.keras.Sequential([tf.keras.layers.Dense(16, activation="tanh"), tf.keras.layers.Dense(1)])
optimizer = tf.keras.optimizers.SGD(0.05)
x = tf.random.normal([64, 8])
y = tf.reduce_sum(x, axis=1, keepdims=True)
model.build((None, 8))
optimizer.build(model.trainable_variables)


@tf.function(jit_compile=False)
def train_step(x, y):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean((model(x) - y) ** 2)
    variables = model.trainable_variables
    optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
    return loss


for step in range(24):
    loss = train_step(x, y)
    print(f"step {step}: {loss:.4f}")  # expect: PA201
print(f"final {float(loss):.3f}")
