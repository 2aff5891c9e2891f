"""Keras on a live stream: a score and a training step for each message that comes in.

What goes wrong: batches of one.  `predict` and `train_on_batch` are called per message, so each
message pays for two uploads, two launches and a wait for its score, and the device computes next
to nothing in between.

What the audit says: PA201 where the score of a single message is read; what `train_on_batch` reads
for its logs is Keras' own and `info`.  What to change: collect some messages, score and learn from
them at once, and read their scores with one copy.  (The buffered model learns from means over its
batches, so its weights are others; the alarms are the same.)
"""

import argparse

import keras
import numpy as np

WIDTH = 16


def stream(messages):
    """Messages as they come: every tenth is unlike the others, and its label says so."""
    generator = np.random.default_rng(0)
    for number in range(messages):
        odd = number % 10 == 9
        message = generator.normal(4.0 if odd else -4.0, 1.0, WIDTH)
        yield message.astype("float32"), np.float32(odd)


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
    for message, label in stream(args.messages):
        score = model(message[None], training=False)
        if float(score[0, 0]) > 0.5:  # stray: PA201
            alarms += 1
        model.train_on_batch(message[None], label[None])
    print(f"{args.messages} messages, {alarms} alarms")


if __name__ == "__main__":
    main()
