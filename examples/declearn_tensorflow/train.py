"""Federated training with declearn on TensorFlow: vectors that lost their device.

What goes wrong: the weights of the last round are read under the policy of the process that
aggregates, which has no use for a GPU, and stay on the host.  declearn's model computes on the GPU.
In the correction the left operand decides: it brings the weights to the host in every step, and
the gradients take its result back up.  And the norm of the weights is asked onto a second GPU,
which is not there.

What the audit says: PA302 at both vector operations, with the operands' devices and what each
copies; PA307 where the weights were read; PA304 at the norm.  What to change: set the policy before
anything is read, and ask TensorFlow for the devices it has.
"""

import argparse

import keras
import numpy as np
import tensorflow as tf
from declearn.model.tensorflow import TensorflowModel, TensorflowVector
from declearn.utils import set_device_policy


def network():
    """A small network, the same in each process."""
    keras.utils.set_random_seed(0)
    hidden = keras.layers.Dense(64, "relu", name="hidden")
    return keras.Sequential(
        [keras.Input((32,)), hidden, keras.layers.Dense(4, name="head")], name="network"
    )


def last_round():
    """Weights as a server sends them: arrays by their names."""
    model = TensorflowModel(network(), loss=keras.losses.MeanSquaredError())
    return model.get_weights(trainable=True).pack()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=60)
    args = parser.parse_args()
    has_gpu = bool(tf.config.list_logical_devices("GPU"))
    set_device_policy(gpu=False)
    anchor = TensorflowVector.unpack(last_round())  # stray: PA307
    set_device_policy(gpu=has_gpu)
    model = TensorflowModel(network(), loss=keras.losses.MeanSquaredError())
    generator = np.random.default_rng(0)
    norm = tf.zeros([])
    for _ in range(args.steps):
        x = generator.normal(size=(16, 32)).astype("float32")
        gradients = model.compute_batch_gradients((x, x[:, :4], None))
        weights = model.get_weights(trainable=True)
        drift = anchor - weights  # stray: PA302
        updates = gradients - drift * 0.01  # stray: PA302
        model.apply_updates(updates * -0.1)
        with tf.device("/GPU:1"):
            norm = tf.linalg.global_norm(list(weights.coefs.values()))  # stray: PA304
    total = model.get_weights(trainable=True).pack()
    print(f"norm {float(norm):.3f}, {sum(float(np.abs(w).sum()) for w in total.values()):.3f}")


if __name__ == "__main__":
    main()
