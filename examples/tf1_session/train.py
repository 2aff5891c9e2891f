"""A TensorFlow 1 graph: towers, variables on a parameter device, a thread that fills a queue.

What goes wrong: the graph was written for three GPUs; with `allow_soft_placement` the tower of the
one that is not there runs on the host.  And each step fetches the running mean of the inputs only
to feed it in the next one: down and up again, through the host.

What the audit says: PA304 at the lines of a tower, with the device that was asked for; PA101 at the
`session.run` that feeds what it fetched.  What the graph needs is not flagged: batches go to the
towers, a variable that lies on the host too, gradients come back.  What to change: as many towers
as there are GPUs; keep what is carried from step to step in a variable.
"""

import argparse
import threading

import numpy as np
import tensorflow as tf

v1 = tf.compat.v1
WIDTH, BATCH = 32, 24


def towers(devices, inputs):
    """A tower on each device, with its share of the batch; the update by their mean gradient."""
    setter = v1.train.replica_device_setter(ps_tasks=1, ps_device="/device:CPU:0", worker_device="")
    with v1.device(setter):
        kernel = v1.get_variable("kernel", initializer=np.eye(WIDTH, dtype="float32") * 0.5)
    gradients, losses = [], []
    for device, part in zip(devices, tf.split(inputs, len(devices)), strict=True):
        with tf.device(device):
            hidden = tf.tanh(tf.matmul(part, kernel))  # stray: PA304
            loss = tf.reduce_mean(tf.square(hidden - part))  # stray: PA304
            (gradient,) = tf.gradients(loss, [kernel])  # stray: PA304
        gradients.append(gradient)
        losses.append(loss)
    with tf.device("/device:CPU:0"):
        update = v1.assign_sub(kernel, 0.1 * tf.add_n(gradients) / len(devices))
        return update, tf.add_n(losses) / len(devices)


def fill(session, enqueue, raw, steps):
    """What the thread does: a run of the session for each batch."""
    generator = np.random.default_rng(0)
    for _ in range(steps):
        session.run(enqueue, {raw: generator.normal(size=(BATCH, WIDTH)).astype("float32")})


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=12)
    args = parser.parse_args()
    with tf.Graph().as_default():
        with tf.device("/device:CPU:0"):
            queue = tf.queue.FIFOQueue(4, [tf.float32], [[BATCH, WIDTH]])
            raw = v1.placeholder(tf.float32, [BATCH, WIDTH])
            enqueue = queue.enqueue(raw)
            inputs = queue.dequeue()
        carried = v1.placeholder(tf.float32, [WIDTH])
        with tf.device("/gpu:0"):
            following = 0.9 * carried + 0.1 * tf.reduce_mean(inputs, axis=0)
        update, loss = towers(["/gpu:0", "/gpu:1", "/gpu:2"], inputs)
        initialize = v1.global_variables_initializer()
        config = v1.ConfigProto(allow_soft_placement=True)
        with v1.Session(config=config) as session:
            session.run(initialize)
            loader = threading.Thread(target=fill, args=(session, enqueue, raw, args.steps))
            loader.start()
            mean = np.zeros(WIDTH, "float32")
            for _ in range(args.steps):
                given = {carried: mean}
                mean, value, _ = session.run([following, loss, update], given)  # stray: PA101
            loader.join()
    print(f"loss {value:.4f}, mean {np.abs(mean).sum():.4f}")


if __name__ == "__main__":
    main()
