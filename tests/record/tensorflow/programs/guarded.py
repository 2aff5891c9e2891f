"""Guards: each case says which line is refused, and how; prints what happened as JSON.

Run with simulated GPUs by itself: ``placeaudit.simulate`` before TensorFlow starts.
"""

import json
import logging
import sys
import traceback

import numpy as np
import tensorflow as tf

import placeaudit

found = {}
logged = []


class Keep(logging.Handler):
    def emit(self, record):
        logged.append(record.getMessage())


def case(name, run, **levels):
    """What ``run`` gives under a guard: the direction and bytes refused, and the user's line."""
    try:
        with placeaudit.guard(**levels):
            run()
    except placeaudit.TransferError as error:
        frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == __file__]
        found[name] = {
            "direction": error.direction,
            "bytes": error.bytes,
            "src": error.src,
            "dst": error.dst,
            "text": frames[-1].line,
            "message": str(error),
        }
    else:
        found[name] = None


def main():
    x = tf.random.normal([4, 4])
    with tf.device("/CPU:0"):
        host = tf.random.normal([4, 4])
        mirrored = tf.random.normal([4, 4])
    with tf.device("/GPU:1"):
        other = tf.random.normal([4, 4])
    v = tf.Variable(x)
    calls = []

    @tf.function
    def inside(t):
        with tf.device("/CPU:0"):
            y = t * 2.0
        return y + t

    @tf.function
    def clean(t):
        return t @ t

    def counted(t):
        calls.append(1)
        return t

    inside(x)
    case("implicit upload", lambda: x + host, h2d="disallow")
    case("implicit upload again", lambda: x + host, h2d="disallow")
    case("other direction", lambda: x + host, d2h="disallow", d2d="disallow")
    case("between devices", lambda: tf.matmul(x, other), d2d="disallow")
    case("constant", lambda: tf.constant(np.ones((2, 3), np.float32)), h2d="disallow")
    case("list", lambda: tf.constant([[1.0, 2.0]]), h2d="disallow")
    case("integers stay", lambda: tf.constant([1, 2]), h2d="disallow")
    case("assign", lambda: v.assign(np.zeros((4, 4), np.float32)), h2d="disallow")
    case("number", lambda: x * 2.0, h2d="disallow")
    case("array operand", lambda: x + np.ones((4, 4), np.float32), h2d="disallow")
    case("variable elsewhere", lambda: other + v, d2d="disallow")
    case("numpy", lambda: x.numpy(), d2h="disallow")
    case("float", lambda: float(tf.reduce_sum(x)), d2h="disallow")
    case("bool", lambda: bool(tf.reduce_sum(x) > 0), d2h="disallow")
    case("asarray", lambda: np.asarray(x), d2h="disallow")
    case("ufunc", lambda: np.sqrt(np.abs(x)), d2h="disallow")
    case("format", lambda: f"{x}", d2h="disallow")
    case("cpu()", lambda: x.cpu(), d2h="disallow")
    case("gpu()", lambda: host.gpu(), h2d="disallow")
    case("wait of a read", lambda: x.numpy(), sync="disallow")
    case("wait of where", lambda: tf.where(x > 0), sync="disallow")
    case("host read", lambda: host.numpy(), d2h="disallow", sync="disallow")
    case("known function", lambda: inside(x), d2h="disallow")
    case("known function again", lambda: inside(x), d2h="disallow")
    case("new function", lambda: inside(tf.random.normal([2, 2])), d2h="disallow")
    case("clean function", lambda: clean(x), h2d="disallow", d2h="disallow", d2d="disallow")
    case("on the device", lambda: tf.reduce_sum(x @ x, axis=0), h2d="disallow", d2h="disallow")
    case("argument first", lambda: tf.add(counted(x), host), h2d="disallow")

    def allowed():
        with placeaudit.allow("metrics"):
            return x.numpy()

    case("allowed", allowed, d2h="disallow")
    with placeaudit.guard():
        x + mirrored
        case("seen before", lambda: x + mirrored, h2d="disallow")
    logger = logging.getLogger("placeaudit")
    logger.addHandler(Keep())
    logger.propagate = False
    for _ in range(3):
        case("logged", lambda: x.numpy(), d2h="log")
    found["log"] = logged
    assert np.array_equal(x.cpu().numpy(), np.asarray(x))
    x.numpy()  # nothing stands there any more
    found["left"] = [
        name
        for name in ("_numpy_internal", "_copy_to_device")
        if "placeaudit" in getattr(getattr(type(x), name), "__module__", "")
    ]
    found["assertion"] = asserted(x)


def asserted(x):
    try:
        with placeaudit.assert_no_stray_copies():
            for _ in range(5):
                float(tf.reduce_sum(x))
    except placeaudit.StrayCopyError as error:
        return [f"{finding.rule}" for finding in error.findings]
    with placeaudit.assert_no_stray_copies():
        for _ in range(5):
            tf.reduce_sum(x)
    return None


if __name__ == "__main__":
    with placeaudit.simulate("cuda:2"):
        main()
    json.dump(found, sys.stdout)
