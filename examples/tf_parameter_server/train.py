"""ParameterServerStrategy: variables on a parameter server, steps on a worker, one coordinator.

The cluster is in this process: a server for the worker, one for the parameters, the coordinator
beside them, which watches how far the weights have gone.

What goes wrong: the coordinator reads that distance as a number after each step, so it waits for
its device before it schedules the next one.

What the audit says: PA201 at the read.  That the weights come from the parameter server is what the
strategy is for, and not flagged; what the worker does is in another job: PA902 says that its copies
are not seen.  What to change: sum on the device, and read once.
"""

import argparse
import socket

import tensorflow as tf

FEATURES, BATCH = 16, 32


def free_port():
    """A port of this machine that nobody uses."""
    with socket.socket() as taken:
        taken.bind(("localhost", 0))
        return taken.getsockname()[1]


def start_cluster():
    """A worker and a parameter server; they serve as long as this process lives."""
    jobs = {job: [f"localhost:{free_port()}"] for job in ("worker", "ps")}
    config = tf.compat.v1.ConfigProto(inter_op_parallelism_threads=4)
    for job in jobs:
        tf.distribute.Server(jobs, job_name=job, task_index=0, config=config)
    return tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec(jobs), rpc_layer="grpc"
    )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=12)
    args = parser.parse_args()
    strategy = tf.distribute.ParameterServerStrategy(start_cluster())
    coordinator = tf.distribute.coordinator.ClusterCoordinator(strategy)
    with strategy.scope():
        kernel = tf.Variable(tf.zeros([FEATURES, 1]))

    @tf.function
    def step(number):
        x = tf.random.stateless_normal([BATCH, FEATURES], tf.stack([number, 0]))
        y = tf.reduce_sum(x, axis=1, keepdims=True)
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((x @ kernel - y) ** 2)
        kernel.assign_sub(0.05 * tape.gradient(loss, kernel))

    start = tf.identity(kernel)
    distance = 0.0
    for number in range(args.steps):
        coordinator.schedule(step, args=(tf.constant(number),))
        coordinator.join()
        distance += float(tf.norm(kernel - start))  # stray: PA201
    print(f"mean distance {distance / args.steps:.4f}")


if __name__ == "__main__":
    main()
