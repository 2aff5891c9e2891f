from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from placeaudit.model import Finding, Severity
from placeaudit.report.base import Result
from placeaudit.report.markdown import MarkdownReporter, cell, prose

Make = Callable[..., Finding]


def test_headline_table_and_details(gold_result: Result) -> None:
    text = MarkdownReporter().render([gold_result])
    lines = text.splitlines()
    assert lines[0].startswith("### ⚠️ placeaudit: 2 findings at 2 lines")
    assert "`train.py --lr 1e-3` · cuda:0 simulated · 24 steps" in lines[2]
    rows = [line for line in lines if line.startswith("| ⚠️ ")]
    assert [row.split(" | ")[1] for row in rows] == ["PA201 scalar-read", "PA202 pageable-upload"]
    assert "`/work/train.py:8`" in rows[0]
    assert "blocks 12.3 ms (modelled on h100)" in rows[0]
    assert "a fix saves at most 5 % (500 µs a step, modelled on h100)" in rows[0]
    assert text.count("<details>") == text.count("</details>") == 2
    assert "* fix: Keep the sum on the device" in text
    assert "<summary>1 finding not stray</summary>" in text
    assert text.endswith("</details>\n")


def test_what_has_a_meaning_in_markdown_is_escaped() -> None:
    assert prose("a <b> @me #3 *x* __y__ [l](u) `c<d>[0] @z`\nnext") == (
        "a &lt;b> &#64;me &#35;3 \\*x\\* \\_\\_y\\_\\_ \\[l](u) `c<d>[0] @z` next"
    )
    assert prose("one ` alone <") == "one ' alone &lt;"
    assert cell("`a | b` | c") == "`a \\| b` \\| c"


def test_a_long_table_says_what_was_cut(gold_result: Result, make_finding: Make) -> None:
    findings = tuple(make_finding(line=line, function=f"f{line}") for line in range(1, 31))
    text = MarkdownReporter().render([replace(gold_result, findings=findings)])
    assert text.count("| ⚠️ |") == 20
    assert "… and 10 more findings of smaller cost: PA201." in text


def test_it_fits_into_a_comment(gold_result: Result, make_finding: Make) -> None:
    findings = tuple(
        make_finding(line=n, function=f"f{n}", message="x" * 9_000) for n in range(1, 31)
    )
    text = MarkdownReporter().render([replace(gold_result, findings=findings)])
    assert len(text) < 65_536
    assert "too long for a comment" in text


def test_clean_and_unknown(gold_result: Result, empty_result: Result) -> None:
    clean = MarkdownReporter().render([replace(gold_result, findings=())])
    assert clean.startswith("### ✅ placeaudit: No stray copy")
    assert "|---|" not in clean
    assert MarkdownReporter().render([empty_result]).startswith("### ❔ placeaudit: Nothing could")


def test_severities_are_marked(gold_result: Result, make_finding: Make) -> None:
    findings = (make_finding(severity=Severity.ERROR), make_finding(line=9))
    text = MarkdownReporter().render([replace(gold_result, findings=findings)])
    assert text.index("| 🛑 |") < text.index("| ⚠️ |")


def test_a_long_list_is_grouped(gold_result: Result, make_finding: Make) -> None:
    many = [make_finding(line=line, function="a") for line in range(1, 21)]
    other = make_finding(line=50, function="b")
    result = replace(gold_result, findings=(*many, other))
    text = MarkdownReporter(limit=20).render([result])
    rows = [line for line in text.splitlines() if line.startswith("| ⚠️ ")]
    assert len(rows) == 2
    assert "; and 19 more of it here: lines 2, 3, 4, 5, 6, 7, 8, 9, … |" in rows[0]
    assert "more of it" not in rows[1]
    assert "of smaller cost" not in text
    cut = MarkdownReporter(limit=1).render([result])
    assert "… and 1 more finding of smaller cost: PA201." in cut
