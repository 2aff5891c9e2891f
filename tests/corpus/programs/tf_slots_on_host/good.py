"""An optimizer of one's own, whose averages were put on the host to save device memory."""

import tensorflow as tf


class Averaging(tf.keras.optimizers.Optimizer):
    """Momentum by an average of the gradients."""

    def build(self, variables):
        super().build(variables)
        self.averages = [tf.Variable(tf.zeros(v.shape)) for v in variables]

    def update_step(self, gradient, variable, learning_rate):
        average = self.averages[self._get_variable_index(variable)]
        average.assign(0.9 * average + 0.1 * gradient)
        variable.assign_sub(learning_rate * tf.convert_to_tensor(average))


tf.keras.utils.set_random_seed(30)
model = tf.keras.Sequential([tf.keras.Input((32,)), tf.keras.layers.Dense(32)])
optimizer = Averaging(learning_rate=0.1)
x = tf.random.normal([16, 32])
for _ in range(8):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(model(x) - x))
    variables = model.trainable_variables
    optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
print(f"{float(loss):.4f}")
