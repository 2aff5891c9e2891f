"""A TensorFlow that placeaudit does not know: what it says of it, as JSON.  Its profiler is on."""

import json
import sys
import tempfile

import tensorflow as tf
from tensorflow.python.eager.polymorphic_function import atomic_function

import placeaudit

version, tf.__version__ = tf.__version__, "2.99.0"
found = {}
try:
    with placeaudit.simulate("cuda"):
        pass
except placeaudit.PlaceauditError as error:
    found["simulate"] = str(error)
tf.profiler.experimental.start(tempfile.mkdtemp())
kept = atomic_function.from_func_graph
del atomic_function.from_func_graph
with placeaudit.trace() as run:
    with tf.device("/GPU:7"):
        tf.ones([2]) + 1.0
found["notes"] = list(run.result.audit.notes)
atomic_function.from_func_graph = kept
tf.profiler.experimental.stop()
found["fallbacks"] = [f.message for f in run.findings if f.rule == "PA304"]
json.dump(found, sys.stdout, default=str)
