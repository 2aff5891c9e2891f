"""A teacher's answers go through NumPy, unchanged."""

import tensorflow as tf

tf.keras.utils.set_random_seed(0)
teacher, student = tf.random.normal([8, 6]), tf.Variable(tf.random.normal([8, 6]))
for _ in range(6):
    x = tf.random.normal([16, 8])
    answers = tf.matmul(x, teacher).numpy()
    with tf.GradientTape() as tape:
        difference = tf.matmul(x, student) - answers  # expect: PA101
        loss = tf.reduce_mean(tf.abs(tf.constant(answers))) + tf.reduce_mean(difference**2)  # expect: PA101
    student.assign_sub(0.1 * tape.gradient(loss, student))
