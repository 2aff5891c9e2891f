"""A small GAN as a class; noise and smoothed labels are drawn by NumPy."""

import numpy as np
import tensorflow as tf


class Gan:
    def __init__(self, latent=16, batch=32):
        self.latent, self.batch = latent, batch
        dense = tf.keras.layers.Dense
        self.generator = tf.keras.Sequential([dense(32, activation="relu"), dense(24)])
        self.discriminator = tf.keras.Sequential([dense(32, activation="relu"), dense(1)])
        self.g_optimizer = tf.keras.optimizers.Adam(1e-3)
        self.d_optimizer = tf.keras.optimizers.Adam(1e-3)
        self.bce = tf.keras.losses.BinaryCrossentropy(from_logits=True)

    def update(self, optimizer, net, loss, tape):
        variables = net.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))

    def train_step(self, real):
        noise = np.random.normal(size=(self.batch, self.latent)).astype("float32")
        with tf.GradientTape() as tape:
            fake = self.generator(noise, training=True)  # expect: PA103
            scores = self.discriminator(tf.concat([real, fake], 0), training=True)
            labels = tf.constant(np.random.uniform(0.8, 1.0, (2 * self.batch, 1)), tf.float32)  # expect: PA103
            d_loss = self.bce(labels, scores)
        self.update(self.d_optimizer, self.discriminator, d_loss, tape)
        with tf.GradientTape() as tape:
            made = self.generator(tf.random.normal([self.batch, self.latent]), training=True)
            g_loss = -tf.reduce_mean(self.discriminator(made, training=True))
        self.update(self.g_optimizer, self.generator, g_loss, tape)


tf.keras.utils.set_random_seed(1)
gan = Gan()
images = tf.data.Dataset.from_tensor_slices(tf.random.normal([384, 24])).batch(32)
steps = 0
for real in images:
    gan.train_step(real)
    steps += 1
print(f"{steps} steps")
