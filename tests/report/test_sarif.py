from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from placeaudit.model import Finding, Frame, Severity
from placeaudit.report.base import Result
from placeaudit.report.sarif import SarifReporter
from placeaudit.rules.registry import RULES

jsonschema = pytest.importorskip("jsonschema")
Make = Callable[..., Finding]


def structure() -> dict[str, Any]:
    file = Path(__file__).with_name("sarif_structure.py")
    spec = importlib.util.spec_from_file_location("sarif_structure", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    schema: dict[str, Any] = module.SCHEMA
    return schema


def rendered(*results: Result, **options: Any) -> dict[str, Any]:
    """The log, held against the structure and, where it is here, the official schema."""
    log: dict[str, Any] = json.loads(SarifReporter(**options).render(results))
    jsonschema.Draft7Validator(structure()).validate(log)
    official = os.environ.get("SARIF_SCHEMA")
    if official:
        schema = json.loads(Path(official).read_text(encoding="utf-8"))
        jsonschema.validators.validator_for(schema)(schema).validate(log)
    (run,) = log["runs"]
    assert isinstance(run, dict)
    return run


def test_the_structure_is_held_against() -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft7Validator(structure()).validate({"version": "2.1.0", "runs": [{}]})


def test_results(gold_result: Result) -> None:
    run = rendered(gold_result)
    assert [result["level"] for result in run["results"]] == ["warning", "warning", "note"]
    first = run["results"][0]
    assert first["ruleId"] == RULES[first["ruleIndex"]].code == "PA201"
    assert first["message"]["text"].endswith(
        "\nFix: Keep the sum on the device and read it once per epoch."
    )
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
