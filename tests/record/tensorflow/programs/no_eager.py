"""TensorFlow as of version 1: eager mode is off."""

import numpy as np
import tensorflow as tf

tf.compat.v1.disable_eager_execution()
fed = tf.compat.v1.placeholder(tf.float32, [None, 4])
weights = tf.compat.v1.get_variable("w", initializer=np.ones((4, 4), np.float32))
loss = tf.reduce_sum(tf.matmul(fed, weights))
step = tf.compat.v1.train.GradientDescentOptimizer(0.1).minimize(loss)
with tf.compat.v1.Session() as session:
    session.run(tf.compat.v1.global_variables_initializer())
    for _ in range(3):
        found = session.run([loss, step], {fed: np.ones((2, 4), np.float32)})  # fed
        print(found[0])
