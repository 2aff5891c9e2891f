"""The twin of train.py: a tower for each GPU there is; what is carried stays in a variable."""

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
            hidden = tf.tanh(tf.matmul(part, kernel))
            loss = tf.reduce_mean(tf.square(hidden - part))
            (gradient,) = tf.gradients(loss, [kernel])
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
    gpus = tf.config.list_physical_devices("GPU")
    devices = [f"/gpu:{number}" for number in range(len(gpus))] or ["/cpu:0"]
    with tf.Graph().as_default():
        with tf.device("/device:CPU:0"):
            queue = tf.queue.FIFOQueue(4, [tf.float32], [[BATCH, WIDTH]])
            raw = v1.placeholder(tf.float32, [BATCH, WIDTH])
            enqueue = queue.enqueue(raw)
            inputs = queue.dequeue()
        with tf.device(devices[0]):
            carried = v1.get_variable("carried", [WIDTH], initializer=v1.zeros_initializer())
            following = v1.assign(carried, 0.9 * carried + 0.1 * tf.reduce_mean(inputs, axis=0))
        update, loss = towers(devices, inputs)
        initialize = v1.global_variables_initializer()
        config = v1.ConfigProto(allow_soft_placement=True)
        with v1.Session(config=config) as session:
            session.run(initialize)
            loader = threading.Thread(target=fill, args=(session, enqueue, raw, args.steps))
            loader.start()
            for _ in range(args.steps):
                value, _, _ = session.run([loss, update, following.op])
            loader.join()
            mean = session.run(carried)
    print(f"loss {value:.4f}, mean {np.abs(mean).sum():.4f}")


if __name__ == "__main__":
    main()
