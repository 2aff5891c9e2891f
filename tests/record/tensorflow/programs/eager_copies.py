"""Each line that copies says which way and how many bytes; the others copy nothing."""

import numpy as np
import tensorflow as tf

a = tf.constant([[1.0, 2.0]])  # copy: cpu GPU:0 8
b = tf.constant(np.ones((2, 3), np.float32))  # copy: cpu GPU:0 24
c = tf.matmul(a, b)
shape = tf.constant([3, 1])
d = tf.reshape(c, shape)
e = tf.reduce_sum(c, axis=tf.constant(0))
value = float(tf.reduce_sum(c))  # copy: GPU:0 cpu 4
with tf.device("/CPU:0"):
    host = tf.random.normal([2, 3])
    same = host + host
f = host + b  # copy: cpu GPU:0 24
g = host * b
array = c.numpy()  # copy: GPU:0 cpu 12
array = np.asarray(c)  # copy: GPU:0 cpu 12
mean = np.mean(c)  # copy: GPU:0 cpu 12
if tf.reduce_sum(c) > 0.0:  # copy: GPU:0 cpu 1, cpu GPU:0 4
    pass
text = f"{c}"  # copy: GPU:0 cpu 12
moved = c.cpu()  # copy: GPU:0 cpu 12
with tf.device("/GPU:1"):
    h = c + c  # copy: GPU:0 GPU:1 12
i = h + c  # copy: GPU:1 GPU:0 12
v = tf.Variable(tf.ones((4, 4)))  # copy: cpu GPU:0 4
v.assign(np.zeros((4, 4), np.float32))  # copy: cpu GPU:0 64
with tf.device("/GPU:1"):
    j = v + 0.5  # copy: GPU:0 GPU:1 64, cpu GPU:1 4
length = tf.shape(c)[0]
joined = tf.strings.join(["a", "b"])
integers = tf.range(4) * 2
# Of a Python number TensorFlow makes one tensor for each type asked for, and keeps it.
k = c * 7  # copy: cpu GPU:0 4
k = c * 7
k = tf.constant(7, tf.float32)
k = tf.constant(7, tf.float16)  # copy: cpu GPU:0 2
k = tf.constant(7, tf.float16)
k = tf.constant(np.float32(7))  # copy: cpu GPU:0 4
k = tf.constant(np.float32(7))  # copy: cpu GPU:0 4
# A kernel is chosen by its types, a number's among them: of floats this one makes its output there.
row = tf.expand_dims(3.0, 0)  # copy: cpu GPU:0 4
row = row * row
# An integer is where its kernel makes it: a cast and bits on the GPU, arithmetic on the host.
whole = tf.cast(c, tf.int32)
bits = tf.cast(tf.bitwise.bitwise_and(whole, whole), tf.float32)
twice = whole + whole  # copy: GPU:0 cpu 12
twice = whole + twice
best = tf.argmax(c, axis=1, output_type=tf.int32).numpy()  # copy: GPU:0 cpu 4
