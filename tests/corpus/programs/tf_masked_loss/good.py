"""A loss over the tokens that are not padding."""

import tensorflow as tf

tf.keras.utils.set_random_seed(9)
tokens = tf.random.uniform([16, 12], 0, 50, dtype=tf.int64)
embedding = tf.keras.layers.Embedding(50, 8)
head = tf.keras.layers.Dense(50)
optimizer = tf.keras.optimizers.Adam(1e-2)
for _ in range(10):
    with tf.GradientTape() as tape:
        logits = head(embedding(tokens))
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(tokens, logits)
        mask = tokens > 10
        kept = tf.cast(mask, tf.float32)
        loss = tf.reduce_sum(losses * kept) / tf.reduce_sum(kept)
    variables = [*embedding.trainable_variables, *head.trainable_variables]
    optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
print(f"{float(loss):.3f}")
