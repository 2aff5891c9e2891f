"""MirroredStrategy: a replica of the model on each of two GPUs, gradients summed in every step.

What goes wrong: the class weights are made by NumPy in every step and uploaded, and the loss of
each replica is read by the host before the next step may begin.

What the audit says: PA103 and PA201 at these lines.  What the strategy needs is not flagged: each
replica's part of a batch goes up, and gradients cross in collectives, which are counted apart from
copies.  What to change: make what is constant once, sum on the device, read at the end.
"""

import argparse

import keras
import numpy as np
import tensorflow as tf

FEATURES, CLASSES, BATCH = 16, 4, 32


def examples(steps):
    """Points around one centre for each class."""
    generator = np.random.default_rng(0)
    labels = generator.integers(0, CLASSES, steps * BATCH)
    centres = generator.normal(size=(CLASSES, FEATURES)) * 2
    points = centres[labels] + generator.normal(size=(len(labels), FEATURES))
    return points.astype("float32"), labels.astype("int64")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=12)
    args = parser.parse_args()
    keras.utils.set_random_seed(0)
    strategy = tf.distribute.MirroredStrategy()
    with strategy.scope():
        model = keras.Sequential(
            [keras.Input((FEATURES,)), keras.layers.Dense(32, "relu"), keras.layers.Dense(CLASSES)]
        )
        optimizer = keras.optimizers.SGD(0.1)
        optimizer.build(model.trainable_variables)
    data = tf.data.Dataset.from_tensor_slices(examples(args.steps)).batch(BATCH)
    batches = strategy.experimental_distribute_dataset(data)

    @tf.function
    def step(batch, weights):
        def replica(x, y):
            with tf.GradientTape() as tape:
                losses = tf.nn.sparse_softmax_cross_entropy_with_logits(y, model(x, training=True))
                loss = tf.reduce_sum(losses * tf.gather(weights, y)) / BATCH
            gradients = tape.gradient(loss, model.trainable_variables)
            optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
            return loss

        return strategy.run(replica, args=batch)

    total = 0.0
    for batch in batches:
        weights = tf.constant(np.linspace(0.5, 1.5, CLASSES), tf.float32)  # stray: PA103
        for loss in strategy.experimental_local_results(step(batch, weights)):
            total += float(loss)  # stray: PA201
    print(f"mean loss {total / args.steps:.4f}")


if __name__ == "__main__":
    main()
