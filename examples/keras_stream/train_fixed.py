"""The twin of train.py: messages are collected, then scored and learned from at once."""

import argparse
import itertools

import keras
import numpy as np

WIDTH, BUFFER = 16, 16


def stream(messages):
    """Messages as they come: every tenth is unlike the others, and its label says so."""
    generator = np.random.default_rng(0)
    for number in range(messages):
        odd = number % 10 == 9
        message = generator.normal(4.0 if odd else -4.0, 1.0, WIDTH)
        yield message.astype("float32"), np.float32(odd)


def buffered(messages):
    """As many at a time as came in while the device was at work."""
    while batch := list(itertools.islice(messages, BUFFER)):
        yield tuple(map(np.stack, zip(*batch, strict=True)))


def network():
    """A small network that tells odd messages from others."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((WIDTH,)), keras.layers.Dense(32, "relu"), keras.layers.Dense(1, "sigmoid")]
    )
    model.compile("adam", "binary_crossentropy")
    return model


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--messages", type=int, default=64)
    args = parser.parse_args()
    model = network()
    # What was collected before the stream begins.
    known, labels = map(np.stack, zip(*stream(200), strict=True))
    model.fit(known, labels, 20, 4, 0)
    alarms = 0
    for messages, labels in buffered(stream(args.messages)):
        scores = model(messages, training=False)
        alarms += int((scores.numpy() > 0.5).sum())
        model.train_on_batch(messages, labels)
    print(f"{args.messages} messages, {alarms} alarms")


if __name__ == "__main__":
    main()
