from __future__ import annotations

import base64
import dataclasses
import gzip
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from placeaudit.analyze.run import analyze
from placeaudit.model import Finding, Severity
from placeaudit.report.base import Result
from placeaudit.report.html import HtmlReporter, charts, timeline
from placeaudit.store.reader import read_run

Make = Callable[..., Finding]


class Page(HTMLParser):
    """Elements of a page with their attributes, and the text of its scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: dict[str, str] = {}
        self._script: str | None = None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.elements.append((tag, found))
        if tag == "script":
            self._script = found.get("id") or "page"
            self.scripts[self._script] = ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "script":
            self._script = None

    def handle_data(self, data: str) -> None:
        if self._script is not None:
            self.scripts[self._script] += data


def test_the_page_loads_nothing(gold_result: Result) -> None:
    text = HtmlReporter().render([gold_result])
    page = Page(text)
    for tag, attributes in page.elements:
        for name in ("src", "href", "action", "poster", "srcset"):
            value = attributes.get(name) or ""
            assert not value or value.startswith(("#", "data:")), (tag, value)
    assert not re.search(r"url\(|@import", text.split("</style>")[0])
    packed = page.scripts["plotly"]
    assert "Plotly" in gzip.decompress(base64.b64decode(packed)).decode()
    assert len(text) < 3_000_000


def test_findings_stand_first_with_their_source(gold_result: Result) -> None:
    text = HtmlReporter().render([gold_result])
    order = [text.index(part) for part in ("2 findings at 2 lines", "scalar-read", 'id="bytes"')]
    assert order == sorted(order)
    assert "<code>total += loss.item()</code>" in text
    assert "Keep the sum on the device" in text
    articles = [a for tag, a in Page(text).elements if tag == "article"]
    assert [article["data-rule"] for article in articles] == ["PA201", "PA202", "PA205"]


def test_text_of_the_user_cannot_break_out(
    gold_result: Result,
    make_record: Callable[..., Path],
    make_finding: Callable[..., Finding],
    tmp_path: Path,
) -> None:
    evil = "/work/</script><script>alert(1)</script>&'\".py"
    record = make_record(tmp_path / "evil", file=evil)
    finding = make_finding(
        file=evil, message="<img src=x onerror=alert(1)>", fix="</pre></article>"
    )
    result = Result(analyze(read_run(record)), (finding,))
    text = HtmlReporter().render([result])
    page = Page(text)
    baseline = Page(HtmlReporter().render([dataclasses.replace(gold_result, findings=(finding,))]))
    assert [tag for tag, _ in page.elements].count("script") == 3
    assert sorted(page.scripts) == sorted(baseline.scripts) == ["figures", "page", "plotly"]
    assert "img" not in {tag for tag, _ in page.elements}
    assert evil in json.dumps(json.loads(page.scripts["figures"]), ensure_ascii=False).replace(
        '\\"', '"'
    )


def test_marks_are_bounded_and_what_was_merged_is_said(
    make_record: Callable[..., Path], tmp_path: Path
) -> None:
    audit = analyze(read_run(make_record(tmp_path / "long", steps=5000)))
    whole, close = timeline.views(audit)
    for view in (whole, close):
        for trace in view["data"]:
            assert len(trace["x"]) <= max(timeline.MOST_MARKS, timeline.BINS)
    assert "5,000 steps" in whole["note"]
    assert "10,000 host waits" in whole["note"]
    assert "steps" not in close["note"]
    assert close["title"] == "Steps 2501 to 2503"


def test_binned_bytes_add_up(make_record: Callable[..., Path], tmp_path: Path) -> None:
    audit = analyze(read_run(make_record(tmp_path / "long", steps=1000)))
    whole = timeline.views(audit)[0]
    sums: dict[str, int] = {}
    for trace in whole["data"]:
        if trace.get("yaxis") == "y2":
            sums[trace["meta"]["color"]] = sum(trace["y"])
    assert sums == {"h2d": 1000 << 20, "d2h": 4000}


def test_site_rows(gold_result: Result) -> None:
    rows = charts.site_rows(gold_result).rows
    assert [(row.place, row.direction.value, row.count, row.bytes) for row in rows] == [
        ("/work/train.py:4", "h2d", 24, 24 << 20),
        ("/work/train.py:8", "d2h", 24, 96),
    ]
    assert rows[0].source == 'x = batch(step).to("cuda")'
    assert rows[0].step_bytes == 1 << 20


def test_findings_left_out_are_counted(
    gold_result: Result, make_finding: Callable[..., Finding]
) -> None:
    many = tuple(make_finding(line=i) for i in range(1, 8))
    text = HtmlReporter(max_findings=5).render([dataclasses.replace(gold_result, findings=many)])
    assert text.count("<article") == 5
    assert "2 more of smaller cost are not on this page" in text


def test_an_empty_record_is_no_clean_bill(empty_result: Result) -> None:
    text = HtmlReporter().render([empty_result])
    assert "Nothing could be observed" in text
    assert "No copy between devices was recorded." in text
    assert "not measured" in text


def test_many_runs_share_a_page(gold_result: Result, empty_result: Result) -> None:
    page = Page(HtmlReporter().render([gold_result, empty_result]))
    identifiers = [a["id"] for _, a in page.elements if a.get("id")]
    assert len(identifiers) == len(set(identifiers))
    figures: list[Any] = json.loads(page.scripts["figures"])
    assert len(figures) == 2


def test_buttons_and_tables_are_real(gold_result: Result) -> None:
    page = Page(HtmlReporter().render([gold_result]))
    buttons = [a for tag, a in page.elements if tag == "button"]
    assert buttons
    assert all(button.get("type") == "button" for button in buttons)
    sorts = [a.get("aria-sort") for tag, a in page.elements if tag == "th" and a.get("aria-sort")]
    assert sorts.count("descending") == 1
    tables = [tag for tag, _ in page.elements].count("table")
    figures = [a for _, a in page.elements if a.get("class") == "chart"]
    assert tables == len(figures) == 3


def test_backticks_become_code_and_stay_escaped(
    gold_result: Result, make_finding: Callable[..., Finding]
) -> None:
    finding = make_finding(message="`a < b` is 1 < 2", fix="an odd ` stays")
    text = HtmlReporter().render([dataclasses.replace(gold_result, findings=(finding,))])
    assert "<code>a &lt; b</code> is 1 &lt; 2" in text
    assert "an odd ` stays" in text


def test_a_long_list_is_grouped(gold_result: Result, make_finding: Make) -> None:
    many = tuple(make_finding(line=line, function="train") for line in range(1, 71))
    one = make_finding(rule="PA205", name="explicit-sync", line=99, function="train")
    notes = tuple(
        make_finding(rule="PA903", severity=Severity.INFO, file="", line=0, message=text)
        for text in ("one thing", "another")
    )
    page = HtmlReporter().render([dataclasses.replace(gold_result, findings=(*many, one, *notes))])
    counts = re.findall(
        r'<article class="finding \w+" data-count="(\d+)" .*?data-rule="(\w+)"', page
    )
    assert counts == [("70", "PA201"), ("1", "PA205"), ("1", "PA903"), ("1", "PA903")]
    assert "69 more of it in this function" in page
    assert page.count('<li><span class="place">/work/train.py:') == 50
    assert "19 more are not on this page; <code>placeaudit check -v</code>" in page
    apart = HtmlReporter(group_above=100).render([dataclasses.replace(gold_result, findings=many)])
    assert apart.count('<article class="finding') == 70


def test_what_is_cut_counts_whole_groups(gold_result: Result, make_finding: Make) -> None:
    many = tuple(make_finding(line=i, function=f"f{i // 2}") for i in range(40))
    page = HtmlReporter(max_findings=5).render([dataclasses.replace(gold_result, findings=many)])
    assert page.count('<article class="finding') == 5
    assert "30 more of smaller cost are not on this page" in page
