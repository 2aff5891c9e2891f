from __future__ import annotations

import dataclasses
import json

from placeaudit.model import Finding
from placeaudit.report.base import Result
from placeaudit.report.json import JsonReporter


def test_every_field_of_a_finding_is_there(gold_result: Result) -> None:
    document = json.loads(JsonReporter().render([gold_result]))
    fields = {field.name for field in dataclasses.fields(Finding)}
    for finding in document["findings"]:
        assert set(finding) == fields | {"run"}


def test_values(gold_result: Result) -> None:
    document = json.loads(JsonReporter().render([gold_result, gold_result]))
    assert (document["schema"], document["version"]) == ("placeaudit-findings", 1)
    assert [finding["run"] for finding in document["findings"]] == [0, 0, 0, 1, 1, 1]
    first = document["findings"][0]
    assert (first["rule"], first["severity"], first["direction"]) == ("PA201", "warning", "d2h")
    assert first["estimate"]["saved_s"] == 0.0005
    assert first["related"] == [
        {
            "text": "downloaded here",
            "file": "/work/train.py",
            "line": 4,
            "end_line": -1,
            "col": -1,
            "function": "<module>",
        }
    ]
    assert first["evidence"] == [{"kind": "blocks", "text": "24 reads of 4 bytes blocked the host"}]
    run = document["runs"][0]
    assert run["argv"] == ["train.py", "--lr", "1e-3"]
    assert run["simulated"] == "h100"
    assert run["summary"]["h2d"] == {
        "count": 24,
        "bytes": 24 << 20,
        "step_bytes": 1 << 20,
    }
    assert (run["summary"]["warnings"], run["summary"]["infos"]) == (2, 1)


def test_not_measured_is_null(empty_result: Result) -> None:
    (run,) = json.loads(JsonReporter().render([empty_result]))["runs"]
    assert run["summary"]["blocked_s"] is None
    assert run["summary"]["step_blocked_s"] is None
