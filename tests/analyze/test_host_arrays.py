"""Where an array that TensorFlow uploads came from, by syntax."""

from __future__ import annotations

import ast
import textwrap

import pytest

from placeaudit.analyze.callsite import CallSite
from placeaudit.analyze.host_arrays import origin_of_array
from placeaudit.analyze.origins import Made, Origin
from placeaudit.analyze.source import ParsedFile

HEAD = "import numpy as np\nimport tensorflow as tf\n"


def origin(text: str, expression: str) -> Origin:
    """Origin of what ``expression``, found in ``text``, uploads."""
    file = ParsedFile(HEAD + textwrap.dedent(text))
    (node,) = [
        n for n in ast.walk(file.tree) if isinstance(n, ast.expr) and file.quote(n) == expression
    ]
    return origin_of_array(CallSite(file, node))


@pytest.mark.parametrize(
    ("expression", "factory"),
    [
        ("tf.constant(np.zeros((4, 4)))", "numpy.zeros"),
        ("tf.constant(np.random.normal(size=(4, 4)).astype('float32'))", "numpy.random.normal"),
        ("tf.convert_to_tensor(np.tril(np.ones((n, n))))", "numpy.ones"),
        ("tf.constant(2.0 * np.random.rand(n) - 1.0)", "numpy.random.rand"),
        ("tf.constant(self.rng.uniform(0, 1, (n, 2)))", "numpy.random.uniform"),
        ("tf.constant([0.1, 0.9])", "tensorflow.constant"),
        ("model(np.zeros((4, 4), 'float32'), training=True)", "numpy.zeros"),
        ("x + np.arange(n)", "numpy.arange"),
    ],
)
def test_an_array_made_in_the_expression(expression: str, factory: str) -> None:
    found = origin(expression, expression)
    assert (found.made, found.factory) == (Made.FACTORY, factory)


@pytest.mark.parametrize(
    "expression",
    [
        "tf.constant(batch)",
        "tf.constant(0.5)",
        "tf.constant(image + 0.1 * np.random.rand(n))",
        "tf.constant(np.load('weights.npy'))",
        "tf.zeros((4, 4))",
        "tf.constant(np.asarray(rows))",
        "model(np.zeros(4), np.ones(4))",
    ],
)
def test_what_is_data_or_not_visible(expression: str) -> None:
    assert origin(expression, expression).made is not Made.FACTORY


def test_a_name_is_followed_unless_the_host_uses_it_too() -> None:
    made = "noise = np.random.normal(size=(4, 4))\n"
    assert origin(made + "out = model(noise)\n", "model(noise)").made is Made.FACTORY
    used = made + "out = model(noise)\nprint(noise)\n"
    assert origin(used, "model(noise)").made is not Made.FACTORY
    before = made + "for _ in range(3):\n    model(noise)\n"
    assert origin(before, "model(noise)").made is not Made.FACTORY


def test_a_function_that_returns_what_it_makes() -> None:
    text = """
        def state(n):
            return [np.zeros((n, 4)), np.zeros((n, 4))]

        out = [tf.constant(part) for part in state(2)]
        """
    found = origin(text, "tf.constant(part)")
    assert (found.made, found.factory, found.exact) == (Made.FACTORY, "numpy.zeros", False)
    data = text.replace("np.zeros((n, 4))]", "rows]")
    assert origin(data, "tf.constant(part)").made is Made.UNKNOWN


def test_tensors_made_under_a_scope_of_the_host() -> None:
    text = """
        with tf.device("/CPU:0"):
            noise = tf.random.normal((4, 4))
        out = model(noise)
        """
    assert origin(text, "model(noise)").factory == "tensorflow.random.normal"
    assert origin(text.replace("CPU", "GPU"), "model(noise)").made is Made.UNKNOWN
