"""A text classifier on a shared machine: what is asked onto a GPU and silently runs on the host.

What goes wrong: the first of two GPUs is hidden, so the second one is `GPU:0` now, and nothing is
`GPU:1` any more.  TensorFlow's soft placement takes the host instead, eagerly and inside a
`tf.function`, without a word.

What the audit says: PA304 at each line with the device that was asked for, the one that was used,
and why.  Lookup tables, strings and products of int32 have no kernel for a GPU: such findings are
`info`, for nobody can run them there.  What to change: ask TensorFlow for the devices it has.
"""

import argparse

import tensorflow as tf

WORDS = ["good", "bad", "fast", "slow", "warm", "cold", "loud", "calm"]
CLASSES, WIDTH, BATCH, LENGTH = 2, 32, 16, 6


def use_second_gpu():
    """Leave the first GPU to others; take memory as it is needed."""
    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    tf.config.set_visible_devices(gpus[1:], "GPU")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=60)
    args = parser.parse_args()
    use_second_gpu()
    table = tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(WORDS, tf.range(len(WORDS), dtype=tf.int64)), -1
    )
    embedding = tf.Variable(tf.random.stateless_normal([len(WORDS), WIDTH], (1, 2)))
    kernel = tf.Variable(tf.random.stateless_normal([WIDTH, CLASSES], (3, 4)) * 0.1)

    @tf.function
    def step(ids, labels):
        with tf.GradientTape() as tape:
            with tf.device("/GPU:1"):
                features = tf.reduce_mean(tf.gather(embedding, ids), axis=1)  # stray: PA304
                logits = tf.matmul(tf.nn.l2_normalize(features, axis=1), kernel)  # stray: PA304
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            loss = tf.reduce_mean(losses)
        (gradient,) = tape.gradient(loss, [kernel])
        kernel.assign_sub(0.5 * gradient)
        return loss

    smooth, seen = tf.zeros([]), tf.zeros([len(WORDS), len(WORDS)], tf.int32)
    for number in range(args.steps):
        picked = tf.random.stateless_uniform([BATCH, LENGTH], (number, 5), 0, len(WORDS), tf.int32)
        texts = tf.gather(tf.constant(WORDS), picked)
        with tf.device("/GPU:0"):
            ids = table.lookup(texts)  # the table is on the host: info
            words = tf.one_hot(tf.reshape(ids, [-1]), len(WORDS), dtype=tf.int32)
            seen += tf.matmul(words, words, transpose_a=True)  # of int32: info
        loss = step(ids, tf.cast(tf.reduce_sum(ids, axis=1) % CLASSES, tf.int32))
        with tf.device("/GPU:1"):
            smooth = 0.9 * smooth + 0.1 * loss  # stray: PA304
    words = int(tf.linalg.trace(seen))
    print(f"loss {float(loss):.4f}, smoothed {float(smooth):.4f}, words {words}")


if __name__ == "__main__":
    main()
