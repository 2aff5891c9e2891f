"""A pipeline of tf.data that decodes one image after the other, in series with training.

What goes wrong: `map` without `num_parallel_calls` uses one core of the machine, and without
`prefetch` it starts on a batch when the loop asks for it.  The device waits for every batch.

What the audit says: PA401 at the `map`, with the time that the loop waits for each batch and its
share of the loop.  What to change: decode in parallel, and prefetch while the device is at work.
"""

import argparse

import keras
import numpy as np
import tensorflow as tf

SIZE, BATCH, CLASSES = 384, 8, 4


def encoded(count):
    """Images as they lie in files: noise over stripes, whose width is the class."""
    generator = np.random.default_rng(0)
    labels = generator.integers(0, CLASSES, count)
    stripes = np.arange(SIZE)[None, :, None] // (8 << labels)[:, None, None, None] % 2 * 128
    noise = generator.integers(0, 100, (count, SIZE, SIZE, 3))
    images = (stripes[:, :, :, :] + noise).astype("uint8")
    return [tf.io.encode_png(image).numpy() for image in images], labels


def decode(png, label):
    """An image of a quarter of the size, between 0 and 1."""
    image = tf.image.resize(tf.io.decode_png(png, 3), [SIZE // 4, SIZE // 4], "area")
    return image / 255.0, label


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=40)
    args = parser.parse_args()
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((SIZE // 4, SIZE // 4, 3)),
            keras.layers.Conv2D(8, 5, 4, activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(CLASSES),
        ]
    )
    optimizer = keras.optimizers.SGD(0.1)
    optimizer.build(model.trainable_variables)

    @tf.function
    def step(images, labels):
        with tf.GradientTape() as tape:
            logits = model(images, training=True)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            loss = tf.reduce_mean(losses)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss

    files = tf.data.Dataset.from_tensor_slices(encoded(4 * BATCH)).repeat()
    images = files.map(decode)  # stray: PA401
    total = tf.zeros([])
    for batch, labels in images.batch(BATCH).take(args.steps):
        total += step(batch, labels)
    print(f"mean loss {float(total) / args.steps:.3f}")


if __name__ == "__main__":
    main()
