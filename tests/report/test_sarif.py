from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from placeaudit.model import Finding, Frame, Severity
from placeaudit.report.base import Result
from placeaudit.report.sarif import SarifReporter
from placeaudit.rules.registry import RULES

Make = Callable[..., Finding]
#: sarif-schema-2.1.0.json as OASIS published it (errata 01).
OFFICIAL = "c3b4bb2d6093897483348925aaa73af03b3e3f4bd4ca38cef26dcb4212a2682e"
ADDRESS = re.compile(r"(file:///)?[A-Za-z0-9._~%!$&'()*+,;=:@/-]+")


@functools.cache
def official() -> jsonschema.Draft4Validator:
    """The standard's own schema; linceo is installed for this file, its code is not used."""
    file = Path(str(distribution("linceo").locate_file("linceo/data/sarif-schema-2.1.0.json")))
    content = file.read_bytes()
    assert hashlib.sha256(content).hexdigest() == OFFICIAL
    return jsonschema.Draft4Validator(json.loads(content))


def addresses(part: object) -> Iterator[str]:
    """Every ``uri`` in a log."""
    if isinstance(part, dict):
        yield from (value for key, value in part.items() if key == "uri")
        part = list(part.values())
    if isinstance(part, list):
        for item in part:
            yield from addresses(item)


def rendered(*results: Result, **options: Any) -> dict[str, Any]:
    """The run of the log, held against the official schema, and its addresses against URI's."""
    log: dict[str, Any] = json.loads(SarifReporter(**options).render(results))
    official().validate(log)
    assert all(ADDRESS.fullmatch(uri) for uri in addresses(log))
    assert log["$schema"] == official().schema["id"]
    (run,) = log["runs"]
    assert isinstance(run, dict)
    return run


@pytest.mark.parametrize(
    "log",
    [
        {"version": "2.1.0", "runs": [{}]},
        {"version": "2.2.0", "runs": []},
        {"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "x", "nmae": "y"}}}]},
    ],
)
def test_the_schema_refuses(log: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        official().validate(log)


def test_results(gold_result: Result) -> None:
    run = rendered(gold_result)
    assert [result["level"] for result in run["results"]] == ["warning", "warning", "note"]
    first = run["results"][0]
    assert first["ruleId"] == RULES[first["ruleIndex"]].code == "PA201"
    assert first["message"]["text"].endswith(
        "\nFix: Keep the sum on the device and read it once per epoch."
        "\nA fix saves at most 5 % (500 µs a step, modelled on h100)."
    )
    assert first["properties"]["savesAtMostSecondsPerStep"] == 0.0005
    assert first["properties"]["savesAtMostShare"] == 0.05
    assert first["properties"]["estimateBasis"] == "modelled on h100"
    assert first["occurrenceCount"] == 24
    assert first["properties"]["certainty"] == "proven"
    (related,) = first["relatedLocations"]
    assert related["message"]["text"] == "downloaded here"
    assert related["physicalLocation"]["region"]["startLine"] == 4


def test_addresses_are_relative_and_escaped(
    gold_result: Result, make_finding: Make, tmp_path: Path
) -> None:
    (tmp_path / "repo/.git").mkdir(parents=True)
    inside = str(tmp_path / "repo/a dir/ü.py")
    findings = (make_finding(file=inside), make_finding(file="/nowhere else/b.py", line=2))
    run = rendered(replace(gold_result, findings=findings))
    artifacts = [
        result["locations"][0]["physicalLocation"]["artifactLocation"] for result in run["results"]
    ]
    assert artifacts == [
        {"uri": "a%20dir/%C3%BC.py", "uriBaseId": "%SRCROOT%"},
        {"uri": "file:///nowhere%20else/b.py"},
    ]


def test_fingerprints_survive_shifts_and_tell_neighbours_apart(
    gold_result: Result, make_finding: Make
) -> None:
    def prints(*findings: Finding) -> list[str]:
        run = rendered(replace(gold_result, findings=findings))
        return [result["partialFingerprints"]["placeaudit/v1"] for result in run["results"]]

    before = prints(make_finding(line=8), make_finding(line=20))
    after = prints(make_finding(line=9), make_finding(line=33))
    assert before == after
    assert len(set(before)) == 2
    assert prints(make_finding(function="other")) != before[:1]


def test_columns_count_characters(gold_result: Result, make_finding: Make) -> None:
    audit = replace(gold_result.audit, sources={"/work/train.py": "é = x.item()\n"})
    result = Result(audit, (make_finding(line=1, end_line=1, col=5),))
    (found,) = rendered(result)["results"]
    assert found["locations"][0]["physicalLocation"]["region"] == {
        "startLine": 1,
        "endLine": 1,
        "startColumn": 5,
    }


def test_what_has_no_place_is_a_notification(gold_result: Result, make_finding: Make) -> None:
    note = make_finding(
        rule="PA903", name="missing-mechanism", severity=Severity.INFO, file="", line=0
    )
    run = rendered(replace(gold_result, findings=(note, replace(note, message="another"))))
    assert run["results"] == []
    notes = run["invocations"][0]["toolExecutionNotifications"]
    assert [entry["associatedRule"]["id"] for entry in notes] == ["PA903", "PA903"]


def test_nothing_observed_is_said(empty_result: Result) -> None:
    notes = rendered(empty_result)["invocations"][0]["toolExecutionNotifications"]
    assert "no clean bill" in notes[0]["message"]["text"]


def test_a_long_list_is_cut_with_a_notice(gold_result: Result, make_finding: Make) -> None:
    findings = tuple(make_finding(line=line) for line in range(1, 8))
    run = rendered(replace(gold_result, findings=findings), limit=5)
    assert len(run["results"]) == 5
    (note,) = run["invocations"][0]["toolExecutionNotifications"]
    assert note["message"]["text"] == "2 of 7 findings were cut: the least of them"


def test_several_records_are_one_run(gold_result: Result) -> None:
    assert len(rendered(gold_result, gold_result)["results"]) == 3


def test_every_rule_comes_with_its_documentation(gold_result: Result) -> None:
    rules = rendered(gold_result)["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == [rule.code for rule in RULES]
    for rule in rules:
        assert rule["help"]["markdown"].count("#### ") == 5, rule["id"]
        assert "```python" in rule["help"]["markdown"], rule["id"]
        assert "::\n" not in rule["help"]["markdown"], rule["id"]


def test_a_related_site_without_a_line(gold_result: Result, make_finding: Make) -> None:
    finding = make_finding(related=(("made here", Frame("<stdin>", "f", -1)),))
    (found,) = rendered(replace(gold_result, findings=(finding,)))["results"]
    assert "region" not in found["relatedLocations"][0]["physicalLocation"]
