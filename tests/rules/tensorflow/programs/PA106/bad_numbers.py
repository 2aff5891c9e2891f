"""Weights of past losses, Python numbers that are new in each step."""

import random

import tensorflow as tf

random.seed(1)
kernel = tf.Variable(tf.random.normal([8, 8]))
for _ in range(6):
    weights = [random.random() for _ in range(10)]
    with tf.GradientTape() as tape:
        parts = tf.unstack(tf.norm(tf.matmul(tf.random.normal([10, 8]), kernel), axis=1))
        terms = []
        for part, weight in zip(parts, weights):
            terms.append(weight - part)  # expect: PA106
        loss = tf.add_n(terms)
    kernel.assign_sub(0.1 * tape.gradient(loss, kernel))
