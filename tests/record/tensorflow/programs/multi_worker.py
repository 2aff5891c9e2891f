"""MultiWorkerMirroredStrategy with one worker, which is this process; prints its losses."""

import json
import os
import socket

with socket.create_server(("localhost", 0)) as server:
    port = server.getsockname()[1]
os.environ["TF_CONFIG"] = json.dumps(
    {"cluster": {"worker": [f"localhost:{port}"]}, "task": {"type": "worker", "index": 0}}
)

import tensorflow as tf  # noqa: E402

strategy = tf.distribute.MultiWorkerMirroredStrategy()
with strategy.scope():
    v = tf.Variable(tf.ones([8, 4]))


@tf.function
def step(x):
    def replica(x):
        with tf.GradientTape() as tape:
            with tf.device("/CPU:0"):
                scaled = x * 0.5  # on the host
            loss = tf.reduce_mean((scaled @ v) ** 2)
        (gradient,) = tape.gradient(loss, [v])
        total = tf.distribute.get_replica_context().all_reduce("sum", gradient)
        v.assign_sub(0.1 * total)
        return loss

    return strategy.reduce("mean", strategy.run(replica, args=(x,)), axis=None)


print(strategy.num_replicas_in_sync >= 1)
for _ in range(3):
    print(f"{float(step(tf.ones([2, 8]))):.5f}")
