"""Each example: every marked line is found with its rule and nothing else; its twin is clean."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.scenarios.example import Example, examples

ALL = list(examples())


@pytest.mark.parametrize("example", ALL, ids=lambda example: example.name)
def test_marked_lines_are_found_and_the_twin_is_clean(
    sandbox: Any, example: Example, record_property: Callable[[str, object], None]
) -> None:
    example.skip_without_needs()
    audit = example.audit(sandbox, example.program)
    assert example.found(audit) == example.marked()
    assert example.remarks() <= example.found(audit, is_stray=False)
    for (line, rule), ranks in example.marked_ranks().items():
        at = [f["ranks"] for f in audit.strays if (f["line"], f["rule"]) == (line, rule)]
        assert at == [ranks]
    # Where nothing is marked, the reason is written down.
    assert bool(example.marked()) != bool(example.settings.get("waiting"))
    fixed = example.audit(sandbox, example.twin)
    assert example.found(fixed) == set()
    assert fixed.output.splitlines()[-1] == audit.output.splitlines()[-1]
    # What the gallery is made of; see gallery.py.
    record_property("example", example.name)
    for stray in audit.strays[:1]:
        record_property("finding", f"{stray['rule']} {stray['name']}: {stray['message']}")


def test_twins_have_no_marks() -> None:
    for example in ALL:
        assert "# stray:" not in example.twin.read_text(encoding="utf-8")


def test_each_program_says_what_goes_wrong_at_its_top() -> None:
    for example in ALL:
        head = example.program.read_text(encoding="utf-8").partition('"""')[2].partition('"""')[0]
        assert len(head.split()) > 30, example.name
