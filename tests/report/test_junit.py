from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from xml.etree import ElementTree as ET

from placeaudit.model import Finding
from placeaudit.report.base import Result
from placeaudit.report.junit import JunitReporter

Make = Callable[..., Finding]


def suites(*results: Result) -> ET.Element:
    text = JunitReporter().render(results)
    assert text.startswith('<?xml version="1.0" encoding="utf-8"?>\n')
    return ET.fromstring(text)


def test_a_failure_a_stray(gold_result: Result) -> None:
    root = suites(gold_result)
    assert (root.get("tests"), root.get("failures"), root.get("skipped")) == ("2", "2", "0")
    (suite,) = root
    assert suite.get("name") == "train.py --lr 1e-3"
    first = suite.findall("testcase")[0]
    assert first.attrib == {
        "classname": "/work/train.py",
        "name": "PA201 scalar-read in <module>",
        "file": "/work/train.py",
        "line": "8",
    }
    failure = first[0]
    assert failure.get("type") == "warning"
    assert failure.get("message", "").startswith("loss.item() makes")
    assert "fix: Keep the sum" in (failure.text or "")
    assert "PA205" in (suite.findtext("system-out") or "")


def test_names_stay_when_lines_shift_and_are_unique(
    gold_result: Result, make_finding: Make
) -> None:
    def names(*found: int) -> list[str]:
        findings = tuple(make_finding(line=line) for line in found)
        root = suites(replace(gold_result, findings=findings))
        return [case.get("name", "") for case in root.iter("testcase")]

    assert names(8, 9) == names(80, 90)
    assert len(set(names(8, 9))) == 2


def test_clean_passes_and_unknown_is_skipped(gold_result: Result, empty_result: Result) -> None:
    (clean,) = suites(replace(gold_result, findings=())).iter("testcase")
    assert len(clean) == 0
    root = suites(empty_result)
    assert (root.get("tests"), root.get("failures"), root.get("skipped")) == ("1", "0", "1")
    (skipped,) = root.iter("skipped")
    assert "no clean bill" in skipped.get("message", "")


def test_what_xml_cannot_hold(gold_result: Result, make_finding: Make) -> None:
    finding = make_finding(message="a\x00b\x1b[1m <&\"'> \ud800", function="<lambda>")
    (failure,) = suites(replace(gold_result, findings=(finding,))).iter("failure")
    assert failure.get("message") == "a?b?[1m <&\"'> ?"
