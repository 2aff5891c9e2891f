"""What becomes of a value that a line reads from the device."""

from __future__ import annotations

import ast
from textwrap import dedent

import pytest

from placeaudit.analyze.callsite import CallSite
from placeaudit.analyze.source import ParsedFile
from placeaudit.analyze.uses import Use, UseKind, use_along, use_of


def sites(text: str, *expressions: str) -> list[CallSite]:
    file = ParsedFile(dedent(text))
    return [
        CallSite(file, next(n for n in ast.walk(file.tree) if _is(file, n, expression)))
        for expression in expressions
    ]


def _is(file: ParsedFile, node: ast.AST, expression: str) -> bool:
    return isinstance(node, ast.expr) and file.quote(node) == expression


def use(text: str) -> Use:
    (site,) = sites(text, "loss.item()")
    return use_of(site)


def test_what_a_loop_leaves_behind_is_kept_not_printed() -> None:
    text = """
        for x in data:
            smoothed = 0.9 * smoothed + 0.1 * loss.item()
        print(smoothed)
    """
    assert use(text).kind is UseKind.ACCUMULATED


def test_a_loop_s_condition_needs_what_its_last_turn_assigned() -> None:
    text = """
        error = 1.0
        while error > 1e-3:
            x = step(x)
            error = loss.item()
    """
    assert use(text) == Use(UseKind.NEEDED, "error > 1e-3")


def test_what_a_turn_assigns_anew_is_not_carried_to_the_next() -> None:
    text = """
        for x in data:
            value = other(x)
            print(value)
            value = loss.item()
            value = 0.0
    """
    assert use(text).kind is UseKind.ACCUMULATED


def test_the_next_turn_prints_it() -> None:
    text = """
        value = None
        for x in data:
            if value is not None:
                print(value)
            value = loss.item()
    """
    assert use(text).kind is UseKind.PRINTED


RETURNING = """
    class Agent:
        def act(self, state):
            return int(self.q(state).argmax())

    for t in range(9):
        action = agent.act(state)
        {consumer}
"""


@pytest.mark.parametrize(
    ("consumer", "kind"),
    [
        ("state = env.step(action)", UseKind.NEEDED),
        ("print(action)", UseKind.PRINTED),
        ("actions.append(action)", UseKind.ACCUMULATED),
    ],
)
def test_a_returned_value_is_followed_to_the_caller(consumer: str, kind: UseKind) -> None:
    text = RETURNING.format(consumer=consumer)
    stack = sites(text, "int(self.q(state).argmax())", "agent.act(state)")
    assert use_of(stack[0]).kind is UseKind.RETURNED
    assert use_along(stack).kind is kind


def test_a_caller_without_source_leaves_it_returned() -> None:
    (read,) = sites(RETURNING.format(consumer="pass"), "int(self.q(state).argmax())")
    assert use_along([read, None]).kind is UseKind.RETURNED
    assert use_along([]).kind is UseKind.UNKNOWN


def test_what_a_generator_yields_is_not_the_calling_expression() -> None:
    text = """
        def values(data):
            for loss in data:
                yield loss.item()

        print(next(values(data)))
    """
    stack = sites(text, "loss.item()", "next(values(data))")
    assert use_along(stack).kind is UseKind.RETURNED


def test_a_test_for_none_looks_at_no_value() -> None:
    text = """
        for x in data:
            value = loss.item()
            if value is not None:
                kept.append(value)
    """
    assert use(text).kind is UseKind.ACCUMULATED


def test_a_keyword_among_many_is_kept_by_what_keeps() -> None:
    text = """
        class Metrics:
            def update(self, **values):
                for name, value in values.items():
                    self.values[name].append(value)

        metrics.update(loss=loss.item())
    """
    assert use(text).kind is UseKind.ACCUMULATED


def test_what_is_computed_with_a_value_and_goes_backward_is_the_framework_s() -> None:
    text = """
        for x in data:
            for _ in range(2):
                cost = (alpha * f(x)).mean()
                cost.backward()
                alpha = loss.item()
    """
    assert use(text) == Use(UseKind.FRAMEWORK, "cost.backward()")


def test_a_method_of_what_was_computed_with_a_value_is_not_nothing() -> None:
    text = """
        for x in data:
            shown = figure(x) + loss.item()
            shown.draw()
    """
    assert use(text).kind is UseKind.UNKNOWN
