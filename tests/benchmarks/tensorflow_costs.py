"""Measures what recording costs in TensorFlow, as ratios in one run.

Writes reports/tensorflow_costs.md.  Each round times the same work untraced, traced and under a
guard, one right after the other; the median of the rounds' ratios is reported with its quartiles.
GPUs are simulated in all of them: it is recording that is measured (``make bench-tensorflow``).
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import itertools
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

import placeaudit
from placeaudit.record.tensorflow.windows import is_window, profiled

REPORT = Path(__file__).parents[2] / "reports" / "tensorflow_costs.md"
Work = Callable[[], object]
Way = Callable[[], contextlib.AbstractContextManager[object]]
_NUMBER = itertools.count()


def eager_operations() -> Work:
    """A thousand small operations on the device, none of which copies."""
    x = tf.random.normal([8, 8])

    def work() -> object:
        y = x
        for _ in range(500):
            y = tf.nn.relu(y + x)
        return y

    return work


def eager_copies() -> Work:
    """Two hundred uploads and reads."""
    array = np.ones((8, 8), np.float32)

    def work() -> object:
        return [float(tf.reduce_sum(tf.constant(array))) for _ in range(200)]

    return work


def fitting(body: list[Any], shape: tuple[int, int, int], *, batch: int, steps: int) -> Work:
    """``fit`` of a convolutional network with a last layer of ten classes."""
    layers = tf.keras.layers
    model = tf.keras.Sequential([layers.Input(shape), *body, layers.Flatten(), layers.Dense(10)])
    loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss)
    x = np.random.default_rng(0).random((batch * steps, *shape), np.float32)
    y = np.zeros(batch * steps, np.int64)
    return lambda: model.fit(x, y, batch_size=batch, verbose=0)


def tiny_cnn() -> Work:
    """Steps of some milliseconds, mostly Keras' own."""
    body = [tf.keras.layers.Conv2D(8, 3, activation="relu")]
    return fitting(body, (16, 16, 3), batch=16, steps=40)


def small_cnn() -> Work:
    """Of the size with which tutorials on 28 x 28 digits begin."""
    layers = tf.keras.layers
    body = [
        layers.Conv2D(32, 3, activation="relu"), layers.MaxPooling2D(),
        layers.Conv2D(64, 3, activation="relu"), layers.MaxPooling2D(),
    ]  # fmt: skip
    return fitting(body, (28, 28, 1), batch=128, steps=20)


WORKS = {
    "1000 small eager operations": eager_operations,
    "200 uploads and reads": eager_copies,
    "fit of a tiny CNN (16 x 16 x 3, 8 filters, batch 16), 40 steps": tiny_cnn,
    "fit of a small CNN (28 x 28, 32 and 64 filters, batch 128), 20 steps": small_cnn,
}


def seconds(work: Work, way: Way) -> float:
    """One run inside of what ``way`` puts around it; the first, which warms up, is not timed."""
    with way():
        work()
        start = time.perf_counter()
        work()
        return time.perf_counter() - start


@contextlib.contextmanager
def traced(folder: Path) -> Iterator[None]:
    """Recorded."""
    with placeaudit.trace(folder / f"run{next(_NUMBER)}"):
        yield


def ratio(values: list[float]) -> str:
    """Median and quartiles."""
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def measure(rounds: int, folder: Path) -> list[str]:
    """One row of the table for each piece of work."""
    rows = []
    ways: dict[str, Way] = {
        "plain": contextlib.nullcontext,
        "traced": lambda: traced(folder),
        "guarded": lambda: placeaudit.guard(d2d="disallow"),
        "after": contextlib.nullcontext,
    }
    for name, make in WORKS.items():
        work = make()
        work()
        times: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(rounds):
            for way, around in ways.items():
                times[way].append(seconds(work, around))
        base = times["plain"]
        cells = [
            ratio([t / b for t, b in zip(times[way], base, strict=True)])
            for way in ("traced", "guarded", "after")
        ]
        rows.append(f"| {name} | {statistics.median(base) * 1e3:.1f} ms | {' | '.join(cells)} |")
    return rows


def window(rounds: int) -> str:
    """A call whose loops are counted by TensorFlow's profiler, beside a call that is not."""

    def turns(x: Any) -> Any:
        for _ in tf.range(20):
            with tf.device("/CPU:0"):
                x = tf.tanh(x)
            x = x @ x
        return x

    loop: Any = tf.function(turns)
    x = tf.random.normal([64, 64])
    loop(x)
    profiled(lambda: loop(x))
    plain, inside = [], []
    for _ in range(rounds):
        start = time.perf_counter()
        loop(x)
        between = time.perf_counter()
        _, counts = profiled(lambda: loop(x))
        assert counts is not None
        plain.append(between - start)
        inside.append(time.perf_counter() - between)
    ratios = [i / p for i, p in zip(inside, plain, strict=True)]
    counted = sum(map(is_window, range(1, 201)))
    extra = statistics.median(i - p for i, p in zip(inside, plain, strict=True))
    return (
        f"A call that copies in a loop of 20 turns took {statistics.median(plain) * 1e3:.2f} ms; "
        f"counted by TensorFlow's profiler {ratio(ratios)} times as long, {extra * 1e3:.2f} ms "
        f"more.  Only calls of functions that copy in loops or branches are counted so, and only "
        f"the first three of each and those whose number is a power of two: {counted} of 200."
    )


def main() -> None:
    """Measure, and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--output", type=Path, default=REPORT)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, placeaudit.simulate("cuda"):
        rows = measure(options.rounds, Path(folder))
        profiler = window(10 * options.rounds)
    today = dt.datetime.now(tz=dt.UTC).date().isoformat()
    head = (
        f"Written by `make bench-tensorflow` on {today}: TensorFlow {tf.__version__}, Python "
        f"{platform.python_version()}, {os.cpu_count()} cores, a simulated GPU.  Median of "
        f"{options.rounds} rounds (quartiles); 1.00 is the untraced time of the same round.  "
        "*After* is untraced again: what is left behind."
    )
    lines = [
        "# What recording costs in TensorFlow",
        "",
        head,
        "",
        "| work | untraced | traced | guarded | after |",
        "|---|---|---|---|---|",
        *rows,
        "",
        "## Windows of TensorFlow's profiler",
        "",
        profiler,
        "",
    ]
    options.output.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
