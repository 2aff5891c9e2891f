from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from placeaudit.rules.registry import RULES

Call = Callable[..., Any]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_by_code_and_by_name(placeaudit: Call, rule: Any) -> None:
    by_code, by_name = placeaudit("explain", rule.code), placeaudit("explain", rule.name)
    assert by_code.code == 0
    assert by_code.out == by_name.out
    assert by_code.out.startswith(f"{rule.code} {rule.name} ({rule.severity})\n\n")
    for part in ("What it does", "Why it costs", "Example", "Use instead", "When it is fine"):
        assert part in by_code.out


def test_all_of_them(placeaudit: Call) -> None:
    lines = placeaudit("explain").out.splitlines()
    assert [line.split()[0] for line in lines] == sorted(rule.code for rule in RULES)


def test_an_unknown_rule_names_the_nearest(placeaudit: Call) -> None:
    done = placeaudit("explain", "host-crated")
    assert done.code == 2
    assert "did you mean PA103 (host-created)?" in done.err


def test_what_a_rule_looks_like_in_tensorflow(placeaudit: Call) -> None:
    out = placeaudit("explain", "PA204").out
    assert "\nIn TensorFlow\n    ``tf.boolean_mask``" in out
    assert "In TensorFlow" not in placeaudit("explain", "PA207").out
