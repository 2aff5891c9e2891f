"""A random program, recorded by placeaudit and profiled by TensorFlow at the same time.

Run by itself: TensorFlow's devices are chosen once per process.  Prints both multisets of copies
between devices as JSON: ``{"seed": …, "predicted": {"CPU:0 CPU:1": 12, …}, "actual": {…}}``.

With ``functions`` a part of it is compiled, on devices of its own inside.

Three logical CPU devices stand for a host and two accelerators, and the CPU's own kernels say what
they want in host memory: the same rules as on GPUs, checked where there is none.
"""

import collections
import json
import os
import random
import re
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
from tensorflow.python.framework import constant_op, kernels, ops  # noqa: E402
from tensorflow.python.profiler.internal import _pywrap_profiler  # noqa: E402
from tensorflow.tsl.profiler.protobuf import trace_events_pb2  # noqa: E402

from placeaudit.record.sites import Sites  # noqa: E402
from placeaudit.record.tensorflow.context import TensorflowContext  # noqa: E402
from placeaudit.record.tensorflow.graphs import FunctionRecorder  # noqa: E402
from placeaudit.record.tensorflow.operations import OperationRecorder, _Recent  # noqa: E402
from placeaudit.record.tensorflow.patches import PatchSet  # noqa: E402
from placeaudit.record.tensorflow.reads import add_reads  # noqa: E402
from placeaudit.simulate.tensorflow_gpu.kernels import KernelTable  # noqa: E402
from placeaudit.simulate.tensorflow_gpu.names import Names  # noqa: E402
from placeaudit.store.reader import read_run  # noqa: E402
from placeaudit.store.writer import RecordWriter, create_run  # noqa: E402

#: Constants that the operation ``_EagerConst`` sends to a CPU device; on GPUs its kernel has those
#: of type int32 in host memory, so that nothing is predicted.
sent = collections.Counter()
DEVICES = ("CPU:0", "CPU:1", "CPU:2")
NAMES = Names(gpus=2)
SEND = re.compile(r"_Send input \d+ from \S*(CPU:\d) to \S*(CPU:\d)")
EDGE = re.compile(r".*device:(CPU:\d);.*device:(CPU:\d);")


def world() -> SimpleNamespace:
    made = SimpleNamespace(pool=[], variables=[], axes=[], shapes=[], orders=[])
    for device in DEVICES:
        with tf.device(device):
            made.pool += [tf.random.normal([4, 4]), tf.random.normal([4, 4])]
            made.variables.append(tf.Variable(tf.random.normal([4, 4])))
            made.axes.append(tf.constant(0))
            made.shapes.append(tf.constant([4, 4]))
            made.orders.append(tf.constant([1, 0]))
    return made


def function(first, second):
    @tf.function
    def compiled(x, y):
        with tf.device(first):
            product = x @ y
        with tf.device(second):
            return tf.exp(product - x), product

    return compiled


def program(rng: random.Random, steps: int, given: SimpleNamespace) -> None:
    pool, raw = given.pool, tf.raw_ops

    for _ in range(steps):
        x, y = rng.choice(pool), rng.choice(pool)
        variable, axis = rng.choice(given.variables), rng.choice(given.axes)
        shape, order = rng.choice(given.shapes), rng.choice(given.orders)
        with tf.device(rng.choice(DEVICES)):
            made = rng.choice(
                (
                    lambda: x + y,
                    lambda: x @ y,
                    lambda: x * 2.0,
                    lambda: x * float(rng.randrange(5)),
                    lambda: x * rng.randrange(5),
                    lambda: x + tf.constant(rng.randrange(5), tf.float32),
                    lambda: raw.Reshape(tensor=x, shape=shape),
                    lambda: x + raw.Sum(input=y, axis=axis, keep_dims=True),
                    lambda: raw.Slice(input=x, begin=shape - shape, size=shape),
                    lambda: raw.Slice(
                        input=raw.ConcatV2(values=[x, y], axis=axis), begin=shape - shape, size=shape
                    ),
                    lambda: x + variable,
                    lambda: variable.read_value(),
                    lambda: tf.where(x > y, x, y),
                    lambda: tf.add_n([x, y, x]),
                    lambda: x + np.full((4, 4), rng.random(), np.float32),
                    lambda: tf.cast(tf.cast(x, tf.float64), tf.float32),
                    lambda: raw.Transpose(x=x, perm=order),
                    lambda: tf.identity(x),
                    lambda: raw.Tile(input=x, multiples=shape // shape),
                )
            )()
            if rng.random() < 0.1:
                variable.assign(made)
            if rng.random() < 0.1:
                with tf.GradientTape() as tape:
                    product = tf.exp(variable)
                made = made + tape.gradient(product, variable)
            if given.functions and rng.random() < 0.3:
                made, _ = rng.choice(given.functions)(x, y)
        pool[rng.randrange(len(pool))] = made


def predicted(run: Path, first: int) -> collections.Counter:
    (process,) = read_run(run).processes
    strings = process.tables["strings"].column("text").to_pylist()
    real = {"cpu": "CPU:0", "GPU:0": "CPU:1", "GPU:1": "CPU:2"}
    rows = process.tables["copies"].to_pylist()[first:]
    return collections.Counter(
        f"{real[strings[row['src_device']]]} {real[strings[row['dst_device']]]}"
        for row in rows
        if strings[row["operation"]] not in {"numpy", "copy"}
    )


def count_int32(original):
    """Counts what TensorFlow has not kept: it keeps numbers, not tuples."""
    made = set()

    def convert_to_eager_tensor(value, ctx, dtype=None):
        result = original(value, ctx, dtype)
        if result.dtype == tf.int32 and not result.device.endswith("CPU:0"):
            number = (value, dtype, result.device) if isinstance(value, int) else None
            if number is None or number not in made:
                sent[f"CPU:0 {result.device[-5:]}"] += 1
            made.add(number)
        return result

    return convert_to_eager_tensor


def sends(event) -> tuple[str, str] | None:
    """The devices between which an event of the profile sends a tensor."""
    found = SEND.match(event.name)
    if event.name == "_Send" and "/ctrl/_" not in event.args["from"]:
        found = EDGE.match(event.args["key"])
    return found and found.groups()


def main(seed: int, steps: int, has_functions: bool) -> None:
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 3)
    tf.ones([1])  # TensorFlow starts
    run = Path(tempfile.mkdtemp(), "run")
    create_run(run, argv=[])
    writer = RecordWriter(run, flush_interval_s=3600.0)  # all rows stay countable
    table = KernelTable.from_registry(kernels.get_all_registered_kernels().kernel, "CPU")
    context = TensorflowContext(writer, Sites(writer), NAMES)
    functions = FunctionRecorder(context, table)
    recorder = OperationRecorder(context, table, frozenset(), functions)
    # The profiler's event stands before the look for a mirror: every use is one.
    recorder._mirrors = _Recent(0)
    patches = PatchSet()
    patches.wrap(ops.pywrap_tfe, "TFE_Py_FastPathExecute", recorder.wrap_fast)
    functions.arm(patches)
    patches.wrap(ops.pywrap_tfe, "TFE_Py_Execute", recorder.wrap_slow)
    patches.wrap(ops.pywrap_tfe, "TFE_Py_ExecuteCancelable", recorder.wrap_slow)
    add_reads(patches, recorder)
    patches.wrap(constant_op, "convert_to_eager_tensor", count_int32)
    given = world()
    given.functions = [function(a, b) for a in DEVICES for b in DEVICES if has_functions]
    program(random.Random(seed), 1, given)
    sent.clear()
    before = len(recorder.context.copies)
    session = _pywrap_profiler.ProfilerSession()
    session.start(str(run.parent), {})
    program(random.Random(seed), steps, given)
    trace = trace_events_pb2.Trace.FromString(session.stop())
    patches.undo()
    writer.close()
    actual = collections.Counter(
        f"{found[0]} {found[1]}" for e in trace.trace_events if (found := sends(e))
    )
    print(json.dumps({"seed": seed, "predicted": predicted(run, before) + sent, "actual": actual}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "functions")
