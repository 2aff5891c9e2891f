"""A detector's box loss over the anchors that matched."""

import tensorflow as tf

tf.keras.utils.set_random_seed(10)
scale = tf.Variable(tf.ones([4]))


def box_loss(predicted, target, matched):
    weight = tf.cast(matched, tf.float32)[..., tf.newaxis]
    return tf.reduce_sum(tf.abs(predicted - target) * weight)


anchors = tf.random.normal([8, 30, 4])
target = tf.random.normal([8, 30, 4])
matched = tf.random.uniform([8, 30]) > 0.8
for _ in range(10):
    with tf.GradientTape() as tape:
        loss = box_loss(anchors * scale, target, matched)
    scale.assign_sub(0.001 * tape.gradient(loss, scale))
print(f"{float(loss):.2f}")
