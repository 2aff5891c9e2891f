"""Compiled functions, profiled by TensorFlow: prints how often each edge crossed, as JSON.

Under ``placeaudit trace`` the record must say the same.
"""

import collections
import json
import re
import tempfile

import tensorflow as tf
from tensorflow.python.profiler.internal import _pywrap_profiler
from tensorflow.tsl.profiler.protobuf import trace_events_pb2

SEND = re.compile(r"device:(CPU:\d);.*device:(CPU:\d);")

v = tf.Variable(tf.ones([4, 4]))


@tf.function
def scaled(x):
    with tf.device("/CPU:0"):
        y = x * 3.0  # up: y
    return tf.reduce_sum(y @ v)


@tf.function(input_signature=[tf.TensorSpec([None, 4])])
def gradient(x):
    with tf.GradientTape() as tape:
        with tf.device("/CPU:0"):
            y = tf.exp(x)
        with tf.device("/GPU:1"):
            z = tf.square(x)
        loss = tf.reduce_sum(y @ v) + tf.reduce_sum(z)
    return tape.gradient(loss, v)


shift = tf.constant(2.0)


@tf.function
def inner(x):
    with tf.device("/CPU:0"):
        return tf.exp(shift) + x


@tf.function
def captured(x):  # the number that the other function takes along goes down, and no name tells it
    return inner(x) @ v


batches = [tf.ones([size, 4]) for size in (4, 8)]
for batch in batches:
    scaled(batch)
    gradient(batch)
    captured(batch)
session = _pywrap_profiler.ProfilerSession()
session.start(tempfile.mkdtemp(), {})
for _ in range(10):
    for batch in batches:
        scaled(batch)
        gradient(batch)
        captured(batch)
trace = trace_events_pb2.Trace.FromString(session.stop())
keys = [event.args["key"] for event in trace.trace_events if event.name == "_Send"]
real = {"CPU:0": "cpu", "CPU:1": "GPU:0", "CPU:2": "GPU:1"}
counted = collections.Counter(
    f"{real[found[1]]} {real[found[2]]}" for key in keys if (found := SEND.search(key))
)
print(json.dumps(counted))
