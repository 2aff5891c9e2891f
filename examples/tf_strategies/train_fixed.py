"""The twin of train.py: weights are made once, losses are summed on the devices."""

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

    total = tf.zeros([])
    weights = tf.constant(np.linspace(0.5, 1.5, CLASSES), tf.float32)
    for batch in batches:
        total += strategy.reduce("SUM", step(batch, weights), axis=None)
    print(f"mean loss {float(total) / args.steps:.4f}")


if __name__ == "__main__":
    main()
