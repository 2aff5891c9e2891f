"""Guards inside a trace: what was refused is not in the record, what was allowed has its reason."""

import tensorflow as tf

import placeaudit

x = tf.random.normal([4, 4])


@tf.function
def inside(t):
    with tf.device("/CPU:0"):
        y = t * 2.0  # copy: inside
    return y + t


inside(x)
with placeaudit.guard(d2h="disallow"):
    for _ in range(2):
        try:
            x.numpy()  # refused
        except placeaudit.TransferError:
            print("refused")
        try:
            inside(x)
        except placeaudit.TransferError as error:
            print("made already" in str(error), error.bytes)
    with placeaudit.allow("metrics once"):
        x.numpy()  # allowed
    print(tf.reduce_sum(x).device[-5:])
x.numpy()  # plain
