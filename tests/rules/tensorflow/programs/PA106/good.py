"""Gradient norms of many variables, one read each."""

import tensorflow as tf

kernels = [tf.Variable(tf.random.normal([8, 8])) for _ in range(12)]
for _ in range(6):
    with tf.GradientTape() as tape:
        x = tf.random.normal([4, 8])
        for kernel in kernels:
            x = tf.tanh(tf.matmul(x, kernel))
        loss = tf.reduce_mean(x**2)
    gradients = tape.gradient(loss, kernels)
    for kernel, gradient in zip(kernels, gradients):
        kernel.assign_sub(0.1 * gradient)
    norms = tf.stack([tf.norm(gradient) for gradient in gradients]).numpy()
