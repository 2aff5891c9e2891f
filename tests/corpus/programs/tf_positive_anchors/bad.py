"""A detector's box loss over the anchors that matched."""

import tensorflow as tf

tf.keras.utils.set_random_seed(10)
scale = tf.Variable(tf.ones([4]))


def box_loss(predicted, target, matched):
    positive = tf.where(matched)  # expect: PA204
    difference = tf.gather_nd(predicted - target, positive)
    return tf.reduce_sum(tf.abs(difference))


anchors = tf.random.normal([8, 30, 4])
target = tf.random.normal([8, 30, 4])
matched = tf.random.uniform([8, 30]) > 0.8
for _ in range(10):
    with tf.GradientTape() as tape:
        loss = box_loss(anchors * scale, target, matched)
    scale.assign_sub(0.001 * tape.gradient(loss, scale))
print(f"{float(loss):.2f}")
