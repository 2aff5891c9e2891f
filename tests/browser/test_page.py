from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from placeaudit.model import Finding
from placeaudit.report.base import Result, write
from placeaudit.report.html import HtmlReporter

pytestmark = pytest.mark.browser


@pytest.fixture
def page(gold_result: Result, tmp_path: Path) -> Path:
    path = tmp_path / "report.html"
    write(HtmlReporter().render([gold_result]), path)
    return path


def elements(text: str) -> str:
    """The page without the text of its scripts and styles."""
    return re.sub(r"<(script|style).*?</\1>", "", text, flags=re.DOTALL)


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
    assert "could not be drawn" not in elements(text)
    assert not any(hidden_rules(text).values())
    assert "3 of 3 shown" in text


def test_groups_count_what_they_hold(
    gold_result: Result,
    make_finding: Callable[..., Finding],
    tmp_path: Path,
    dom: Callable[..., str],
) -> None:
    many = tuple(make_finding(line=line, message=f"read {line}") for line in range(1, 31))
    other = make_finding(rule="PA205", name="explicit-sync", line=40)
    path = tmp_path / "many.html"
    write(HtmlReporter().render([replace(gold_result, findings=(*many, other))]), path)
    assert "31 of 31 shown" in dom(path)
    assert "1 of 31 shown" in dom(path, "#hide-rule=PA201")
    # What only a folded finding says is found too.
    assert "30 of 31 shown" in dom(path, "#q=read%2029")


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
    assert not re.findall(r'(?:src|href)="(?!#|data:)[^"]*"', elements(text))


def after_clicks(page: Path, dom: Callable[..., str], *selectors: str) -> str:
    """The page after these elements were clicked, its address as its title."""
    clicks = "".join(f"document.querySelector({selector!r}).click();" for selector in selectors)
    script = f"<script>{clicks}document.title = location.hash;</script></body>"
    page.write_text(page.read_text().replace("</body>", script))
    return dom(page)


def test_a_filter_goes_into_the_address(page: Path, dom: Callable[..., str]) -> None:
    text = after_clicks(page, dom, '[data-rule="PA201"].chip', '[data-severity="info"].chip')
    assert hidden_rules(text) == {"PA201": True, "PA202": False, "PA205": True}
    assert "<title>#hide-severity=info&amp;hide-rule=PA201</title>" in text
    assert "1 of 3 shown" in text


def test_show_all_takes_every_filter_back(page: Path, dom: Callable[..., str]) -> None:
    text = after_clicks(page, dom, '[data-rule="PA201"].chip', "#reset")
    assert not any(hidden_rules(text).values())
    assert "<title></title>" in text


def test_tables_are_sorted_by_their_heads(page: Path, dom: Callable[..., str]) -> None:
    def places(text: str) -> list[str]:
        return re.findall(r'<td class="place">([^<]*)</td>', text)

    assert places(dom(page)) == ["/work/train.py:4", "/work/train.py:8"]
    text = after_clicks(page, dom, "table.sortable th:nth-child(5) button")
    assert places(text) == ["/work/train.py:8", "/work/train.py:4"]
    assert (
        re.findall(r'aria-sort="(\w+)', elements(text))
        == ["none"] * 4 + ["ascending"] + ["none"] * 2
    )


def test_the_theme_can_be_chosen(page: Path, dom: Callable[..., str]) -> None:
    text = after_clicks(page, dom, "#theme", "#theme")
    assert '<html lang="en" data-theme="dark">' in text
    assert "Theme: dark" in text
