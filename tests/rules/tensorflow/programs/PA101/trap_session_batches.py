"""A session is fed another batch, and a rate that is always the same, in each run."""

import numpy as np
import tensorflow as tf

v1 = tf.compat.v1
with tf.Graph().as_default():
    batch = v1.placeholder(tf.float32, [None, 16])
    rate = v1.placeholder(tf.float32, [])
    kernel = v1.get_variable("kernel", initializer=np.ones((16, 4), "float32"))
    loss = tf.reduce_mean(tf.square(tf.matmul(batch, kernel)))
    step = v1.train.GradientDescentOptimizer(rate).minimize(loss)
    generator = np.random.default_rng(0)
    with v1.Session() as session:
        session.run(v1.global_variables_initializer())
        data = generator.normal(size=(12, 8, 16)).astype("float32")
        for x in data:
            session.run(step, {batch: x, rate: 0.1})
