"""What a finding costs reads the same in every report, and only a bound is called one."""

from __future__ import annotations

import html
import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from placeaudit.model import Estimate, Finding
from placeaudit.report.base import Reporter, Result
from placeaudit.report.github import GithubReporter
from placeaudit.report.html import HtmlReporter
from placeaudit.report.json import JsonReporter
from placeaudit.report.junit import JunitReporter
from placeaudit.report.markdown import MarkdownReporter
from placeaudit.report.sarif import SarifReporter
from placeaudit.report.terminal import TerminalReporter

Make = Callable[..., Finding]
BOUND = Estimate(0.0012, 0.04, 0.0, 0.0012, True, "measured")
COST = Estimate(0.0012, None, 0.0, 0.0012, False, "modelled on h100")


def words(text: str) -> str:
    """The text without markup and line breaks."""
    plain = html.unescape(text).replace("</span>", "").replace("%25", "%")
    return " ".join(plain.split())


@pytest.mark.parametrize(
    "reporter",
    [
        TerminalReporter(),
        HtmlReporter(),
        MarkdownReporter(),
        GithubReporter(),
        JunitReporter(),
        SarifReporter(),
    ],
    ids=lambda reporter: type(reporter).__name__,
)
def test_the_same_words(reporter: Reporter, gold_result: Result, make_finding: Make) -> None:
    def rendered(estimate: Estimate) -> str:
        finding = make_finding(estimate=estimate)
        return words(reporter.render([replace(gold_result, findings=(finding,))]))

    bound, cost = rendered(BOUND), rendered(COST)
    assert "fix saves at most 4 % (1.2 ms a step, measured)" in bound
    assert "osts 1.2 ms a step (modelled on an idle h100; more behind queued work)" in cost
    assert "fix saves" not in cost


def test_as_data(gold_result: Result, make_finding: Make) -> None:
    result = replace(gold_result, findings=(make_finding(estimate=COST),))
    (found,) = json.loads(JsonReporter().render([result]))["findings"]
    assert found["estimate"] == {
        "saved_s": 0.0012,
        "ratio": None,
        "low_s": 0.0,
        "high_s": 0.0012,
        "is_bound": False,
        "basis": "modelled on h100",
    }
    (log,) = json.loads(SarifReporter().render([result]))["runs"]
    properties = log["results"][0]["properties"]
    assert properties["costsSecondsPerStep"] == 0.0012
    assert "savesAtMostSecondsPerStep" not in properties
