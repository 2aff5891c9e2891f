"""Replicas, sessions, threads, and a trace of the program's own; prints what must not change."""

import threading

import numpy as np
import tensorflow as tf
from tensorflow.python.eager import context

strategy = tf.distribute.MirroredStrategy()
with strategy.scope():
    v = tf.Variable(tf.ones([8, 4]))


@tf.function
def step(x):
    def replica(x):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((x @ v) ** 2)
        (gradient,) = tape.gradient(loss, [v])
        total = tf.distribute.get_replica_context().all_reduce("sum", gradient)
        v.assign_sub(0.1 * total)
        return loss

    return strategy.run(replica, args=(x,))


tf.summary.trace_on(graph=True)
for _ in range(3):
    step(tf.ones([2, 8]))
print(len(context.context().export_run_metadata().function_graphs) > 0)
tf.summary.trace_off()  # the program's own ends, ours goes on


@tf.function
def later(x):
    with tf.device("/CPU:0"):
        y = x * 2.0
    return x + y


later(tf.ones([4, 4]))
graph = tf.Graph()
setter = tf.compat.v1.train.replica_device_setter(
    ps_tasks=1, ps_device="/device:CPU:0", worker_device="/device:GPU:1"
)
with graph.as_default():
    fed = tf.compat.v1.placeholder(tf.float32, [None, 4])
    product = tf.matmul(fed, tf.ones([4, 4]))  # to GPU:1
    with graph.device(setter):
        squared = tf.square(product)


def run(session, rows):
    found = session.run(squared, {fed: np.ones((rows, 4), np.float32)})  # fed, fetched
    print(float(found.sum()))


with tf.compat.v1.Session(graph=graph) as session:
    for rows in (2, 3):
        run(session, rows)
    thread = threading.Thread(target=run, args=(session, 5))
    thread.start()
    thread.join()


def on_the_host(t):
    return np.float32(t.numpy().sum())  # in a thread of TensorFlow's


for batch in tf.data.Dataset.range(2).map(
    lambda i: tf.py_function(on_the_host, [tf.ones([2]) * tf.cast(i, tf.float32)], tf.float32)
):
    print(float(batch))
