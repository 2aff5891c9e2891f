"""A session feeds what it has fetched, while a thread of the program runs it too."""

import threading

import numpy as np
import tensorflow as tf

v1 = tf.compat.v1
with tf.Graph().as_default():
    state = v1.placeholder(tf.float32, [64])
    kernel = v1.get_variable("kernel", initializer=np.ones(64, "float32"))
    following = tf.tanh(state * kernel) + 1.0
    step = v1.assign_sub(kernel, 0.1 * kernel)
    beside = tf.reduce_sum(tf.random.normal([8]))
    with v1.Session() as session:
        session.run(v1.global_variables_initializer())
        thread = threading.Thread(target=lambda: [session.run(beside) for _ in range(8)])
        thread.start()
        value = np.arange(64, dtype="float32")
        for _ in range(8):
            value, _ = session.run([following, step], {state: value})  # expect: PA101
        thread.join()
