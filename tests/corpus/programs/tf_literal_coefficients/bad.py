"""Loss weights written as a list, made into a tensor in each step."""

import tensorflow as tf

tf.keras.utils.set_random_seed(18)
heads = tf.Variable(tf.random.normal([6, 3]))
x = tf.random.normal([32, 6])
for _ in range(12):
    with tf.GradientTape() as tape:
        losses = tf.reduce_mean(tf.square(tf.matmul(x, heads)), axis=0)
        loss = tf.reduce_sum(losses * tf.constant([0.2, 0.3, 0.5]))  # expect: PA103
    heads.assign_sub(0.1 * tape.gradient(loss, heads))
print(f"{float(loss):.4f}")
