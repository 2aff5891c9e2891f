"""Words become numbers by a StringLookup, which lives on the host, before they go up."""

import numpy as np
import tensorflow as tf

WORDS = ["red", "green", "blue", "black", "white", "grey", "brown", "pink"]
tf.keras.utils.set_random_seed(31)
lookup = tf.keras.layers.StringLookup(vocabulary=WORDS, num_oov_indices=1)
embedding = tf.keras.layers.Embedding(9, 8)
optimizer = tf.keras.optimizers.SGD(0.1)
rng = np.random.default_rng(31)
idf = rng.uniform(0.5, 2.0, 24).astype("float32")
words = tf.data.Dataset.from_tensor_slices(rng.choice(WORDS, (240, 24))).batch(24)
for batch in words.map(lookup):
    with tf.GradientTape() as tape:
        vectors = embedding(batch)
        document = tf.reduce_sum(vectors * tf.reshape(tf.constant(idf), [1, -1, 1]), axis=1)  # expect: PA102
        loss = tf.reduce_mean(document**2)
    variables = embedding.trainable_variables
    optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
print(f"{float(loss):.5f}")
