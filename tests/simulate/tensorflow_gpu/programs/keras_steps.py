"""``fit``, ``evaluate`` and ``predict`` where nobody speaks of XLA, then where somebody does."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf


class Marked(keras.Sequential):
    """Names a device in its step, which XLA does not heed."""

    def train_step(self, data: Any) -> Any:
        x, _ = data
        with tf.device("CPU:0"):
            total = tf.reduce_sum(x)  # on the host
        metrics = super().train_step(data)  # the step
        return metrics | {"total": total * 2.0}


@tf.function(jit_compile=True)  # type: ignore[untyped-decorator]
def twice(x: Any) -> Any:
    return x * 2.0


def main() -> None:
    keras.utils.set_random_seed(3)
    scale = keras.layers.Normalization(mean=0.5, variance=1.0)  # captured constants
    layers = [scale, keras.layers.Dense(8, "relu"), keras.layers.Dropout(0.5)]
    model = Marked([keras.Input((4,)), *layers, keras.layers.Dense(1)])
    x = np.linspace(0, 1, 96, dtype="float32").reshape(24, 4)
    y = x.sum(1, keepdims=True)

    model.compile("adam", "mse")
    for _ in range(3):
        loss = model.fit(x, y, batch_size=8, verbose=0).history  # automatic
        print(loss)
    print(model.evaluate(x, y, verbose=0))  # once
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(5).map(lambda a, b: (a, b * 1.0))
    print(model.evaluate(data.prefetch(2), verbose=0))  # batches
    print(model.predict(x[:2], verbose=0).tolist())

    model.compile("adam", "mse", jit_compile=False)
    print(model.fit(x, y, batch_size=8, verbose=0).history)  # never
    model.compile("adam", "mse", jit_compile=True)
    print(model.jit_compile)

    recurrent = keras.Sequential(
        [keras.Input((2, 2)), keras.layers.LSTM(3, return_sequences=True), keras.layers.GRU(1)]
    )
    recurrent.compile("sgd", "mse")
    print(recurrent.fit(x.reshape(24, 2, 2), y, batch_size=8, verbose=0).history)

    made = tf.random.stateless_normal([4, 4], seed=[1, 2])
    print(tf.reduce_sum(twice(made) + made).numpy())  # stays


if __name__ == "__main__":
    main()
