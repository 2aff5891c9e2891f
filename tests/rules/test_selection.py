from __future__ import annotations

import pytest

from placeaudit.config import Layer
from placeaudit.errors import UsageError
from placeaudit.rules.registry import RULES
from placeaudit.rules.selection import choose

ALL = tuple(rule.code for rule in RULES)


def with_prefix(prefix: str) -> tuple[str, ...]:
    return tuple(code for code in ALL if code.startswith(prefix))


def test_every_rule_where_nobody_selects() -> None:
    assert choose([]) == ALL
    assert choose([Layer(ignore=("PA2",))]) == tuple(c for c in ALL if not c.startswith("PA2"))


def test_the_more_specific_selector_wins() -> None:
    assert choose([Layer(select=("PA201",), ignore=("PA2",))]) == ("PA201",)
    assert "PA201" not in choose([Layer(select=("PA2",), ignore=("scalar-read",))])
    assert choose([Layer(select=("PA1",), ignore=("ALL",))]) == with_prefix("PA1")
    assert choose([Layer(select=("ALL",))]) == ALL


def test_a_stronger_layer_starts_afresh_or_changes_the_choice() -> None:
    file = Layer("file", select=("PA1",), ignore=("PA101",))
    assert choose([file, Layer(select=("PA101", "PA201"))]) == ("PA101", "PA201")
    more = choose([file, Layer(extend_select=("PA201",))])
    assert more == (*(c for c in with_prefix("PA1") if c != "PA101"), "PA201")
    assert "PA103" not in choose([file, Layer(ignore=("PA103",))])


def test_equal_selectors_are_ignored() -> None:
    assert "PA201" not in choose([Layer(select=("PA1", "PA201"), ignore=("PA201",))])


def test_errors_name_the_place() -> None:
    with pytest.raises(UsageError, match=r"^pyproject: there is no rule 'PA20l'; did you mean PA2"):
        choose([Layer("pyproject", ignore=("PA20l",))])
    with pytest.raises(UsageError, match="no rule is left"):
        choose([Layer(select=("PA201",), ignore=("PA201",))])
