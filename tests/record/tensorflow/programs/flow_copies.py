"""Compiled functions whose loops, branches and integers copy: each line says what, in all.

``# copy: WAY BYTES xTIMES`` is so many copies over the whole program.  On a GPU kernels keep
32-bit integers on the host; what looks them up, or makes them of data, does not.  With ``profile``
the program's own profiler is on all the time.
"""

import sys
import tempfile

import tensorflow as tf

weights = tf.Variable(tf.ones([4, 4]))
table = tf.Variable(tf.ones([100, 8]))


@tf.function
def turns(x, n):
    for i in tf.range(n):
        with tf.device("/CPU:0"):
            y = x * 2.0  # copy: GPU:0 cpu 64 x15, cpu GPU:0 64 x15
        x = tf.tanh(y) @ weights
        if i % 2 == 0:
            with tf.device("/CPU:0"):
                x = tf.sin(x)  # copy: GPU:0 cpu 64 x9, cpu GPU:0 64 x9
            x = x @ weights
    return x


@tf.function
def branches(x, flag):
    if flag:
        with tf.device("/CPU:0"):
            z = tf.exp(x)  # copy: GPU:0 cpu 64 x2, cpu GPU:0 64 x2
    else:
        with tf.device("/CPU:0"):
            z = tf.cos(x)  # copy: GPU:0 cpu 64 x1, cpu GPU:0 64 x1
        z = z @ weights
    return z + 1.0


@tf.function
def integers(tokens, labels):
    logits = tf.reduce_sum(tf.gather(table, tokens), 1)
    guess = tf.argmax(logits, 1, output_type=tf.int32)  # copy: GPU:0 cpu 64 x3
    right = tf.equal(guess, labels)  # copy: cpu GPU:0 16 x3
    return tf.reduce_mean(tf.cast(right, tf.float32))


@tf.function
def masked(x):
    return tf.reduce_sum(tf.boolean_mask(x, x > 0.5))  # wait x3


@tf.function
def late(x):
    with tf.device("/CPU:0"):
        return tf.abs(x) * 3.0  # copy: cpu GPU:0 64 x2


@tf.function
def refusing(x, n):
    for i in tf.range(n):
        tf.debugging.assert_less(i, 3)
        x = x @ weights
    return x


x = tf.ones([4, 4])
flags = [tf.constant(flag) for flag in (True, False, True)]
five = tf.constant(5)
tokens, labels = tf.constant([[1, 2, 3]] * 16), tf.constant([1] * 16)
with tf.device("/CPU:0"):
    here = tf.ones([4, 4])
if sys.argv[1:] == ["profile"]:
    tf.profiler.experimental.start(tempfile.mkdtemp())
for flag in flags:
    # The flag is on the GPU, and the host branches on it.
    total = turns(x, five) + branches(x, flag)  # copy: GPU:0 cpu 1 x3
    accuracy = integers(tokens, labels)  # copy: cpu GPU:0 192 x3
    total = tf.reduce_sum(total) + masked(x) + accuracy
late(here)  # for other devices a function is cut anew
late(x)  # copy: GPU:0 cpu 64 x1
if sys.argv[1:] == ["profile"]:
    tf.profiler.experimental.stop(save=False)
try:
    refusing(x, five)
except tf.errors.InvalidArgumentError:
    print("refused")  # whatever counted its turns has let go of the profiler
tf.profiler.experimental.start(tempfile.mkdtemp())
tf.profiler.experimental.stop(save=False)
print(f"{float(total):.6g}")
