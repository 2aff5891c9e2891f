"""A custom loop: forward, backward and update in eager mode, then compiled; an evaluation."""

import tensorflow as tf

tf.keras.utils.set_random_seed(0)
model = tf.keras.Sequential([tf.keras.layers.Input((8,)), tf.keras.layers.Dense(4)])
optimizer = tf.keras.optimizers.SGD(0.1)
x = tf.random.normal([16, 8])
scales = [tf.Variable(float(number)) for number in range(9)]
losses = []
for _ in range(5):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(model(x) ** 2)
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables))
    losses.append(float(loss))


@tf.function
def update(batch):
    with tf.init_scope():  # read while the function is traced, not in its calls
        total = sum(scale.numpy() for scale in scales)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(model(batch) ** 2) * total
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables))
    return loss


for _ in range(4):
    loss = update(x)
    losses.append(loss.numpy())


@tf.function
def evaluate(batch):
    return tf.reduce_mean(model(batch))


print(losses, float(evaluate(x)))
