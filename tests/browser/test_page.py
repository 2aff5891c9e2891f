from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from placeaudit.report.base import Result, write
from placeaudit.report.html import HtmlReporter

pytestmark = pytest.mark.browser


@pytest.fixture
def page(gold_result: Result, tmp_path: Path) -> Path:
    path = tmp_path / "report.html"
    write(HtmlReporter().render([gold_result]), path)
    return path


def hidden_rules(text: str) -> dict[str, bool]:
    """Rule of each finding, and whether the page hides it."""
    found = {}
    for tag in re.findall(r'<article class="finding[^>]*>', text):
        rule = re.search(r'data-rule="(\w+)"', tag)
        assert rule
        found[rule[1]] = bool(re.search(r'\shidden(=""|\s|>)', tag))
    return found


def test_charts_are_drawn_and_nothing_failed(page: Path, dom: Callable[..., str]) -> None:
    text = dom(page)
    assert text.count('class="main-svg"') >= 3
    assert "could not be drawn: " not in re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    assert not any(hidden_rules(text).values())
    assert "3 of 3 shown" in text


def test_filters_come_from_the_address(page: Path, dom: Callable[..., str]) -> None:
    by_rule = dom(page, "#hide-rule=PA201")
    assert hidden_rules(by_rule) == {"PA201": True, "PA202": False, "PA205": False}
    by_severity = dom(page, "#hide-severity=warning")
    assert hidden_rules(by_severity) == {"PA201": True, "PA202": True, "PA205": False}
    by_text = dom(page, "#q=pageable%20memory")
    assert hidden_rules(by_text) == {"PA201": True, "PA202": False, "PA205": True}
    assert "1 of 3 shown" in by_text


def test_the_view_of_the_timeline_comes_from_the_address(
    page: Path, dom: Callable[..., str]
) -> None:
    text = dom(page, "#view-0=1")
    pressed = re.findall(r'data-view="(\d)" aria-pressed="(\w+)"', text)
    assert pressed == [("0", "false"), ("1", "true")]


def test_nothing_is_loaded_by_scripts_either(page: Path, dom: Callable[..., str]) -> None:
    text = dom(page)
    outside = re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    assert not re.findall(r'(?:src|href)="(?!#|data:)[^"]*"', outside)
