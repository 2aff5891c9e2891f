"""The Keras GAN of many tutorials: images come from predict() and go into train_on_batch()."""

import tensorflow as tf

BATCH, LATENT = 16, 8
tf.keras.utils.set_random_seed(2)
dense = tf.keras.layers.Dense
generator = tf.keras.Sequential([tf.keras.Input((LATENT,)), dense(32, activation="relu"), dense(20)])
discriminator = tf.keras.Sequential([tf.keras.Input((20,)), dense(16, activation="relu"), dense(1)])
discriminator.compile(optimizer="sgd", loss="mse", jit_compile=False)
zeros = tf.zeros([BATCH, 1])
for step in range(8):
    noise = tf.random.normal([BATCH, LATENT])
    fake = generator(noise, training=False)
    discriminator.train_on_batch(fake, zeros)
print(f"trained on {step + 1} batches")
