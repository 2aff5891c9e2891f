"""The twin of train.py: one policy, set before anything is read, and devices that are there."""

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
    gpus = tf.config.list_logical_devices("GPU")
    device = gpus[-1].name if gpus else "/CPU:0"
    set_device_policy(gpu=bool(gpus))
    anchor = TensorflowVector.unpack(last_round())
    model = TensorflowModel(network(), loss=keras.losses.MeanSquaredError())
    generator = np.random.default_rng(0)
    norm = tf.zeros([])
    for _ in range(args.steps):
        x = generator.normal(size=(16, 32)).astype("float32")
        gradients = model.compute_batch_gradients((x, x[:, :4], None))
        weights = model.get_weights(trainable=True)
        drift = anchor - weights
        updates = gradients - drift * 0.01
        model.apply_updates(updates * -0.1)
        with tf.device(device):
            norm = tf.linalg.global_norm(list(weights.coefs.values()))
    total = model.get_weights(trainable=True).pack()
    print(f"norm {float(norm):.3f}, {sum(float(np.abs(w).sum()) for w in total.values()):.3f}")


if __name__ == "__main__":
    main()
