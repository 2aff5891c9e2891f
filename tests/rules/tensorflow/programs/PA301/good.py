"""An optimizer whose averages are on the host."""

import tensorflow as tf


class Averaging(tf.keras.optimizers.Optimizer):
    def build(self, variables):
        super().build(variables)
        self.averages = [tf.Variable(tf.zeros(v.shape)) for v in variables]

    def update_step(self, gradient, variable, learning_rate):
        average = self.averages[self._get_variable_index(variable)]
        average.assign(0.9 * average + 0.1 * gradient)
        variable.assign_sub(learning_rate * tf.convert_to_tensor(average))


model = tf.keras.Sequential([tf.keras.Input((8,)), tf.keras.layers.Dense(8)])
optimizer = Averaging(learning_rate=0.1)
for _ in range(6):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(model(tf.random.normal([4, 8])) ** 2)
    variables = model.trainable_variables
    optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
