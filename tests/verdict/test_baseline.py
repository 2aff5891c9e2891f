from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from placeaudit.errors import BaselineError
from placeaudit.model import Finding, Severity
from placeaudit.verdict.baseline import Baseline, Key, key_of, stray_keys
from placeaudit.verdict.paths import ProjectPaths

Make = Callable[..., Finding]
A = Key("PA201", "train.py", "main")
B = Key("PA202", "train.py", "main")
RULES = frozenset({"PA201", "PA202"})


def test_a_key_has_no_line(make_finding: Make) -> None:
    paths = ProjectPaths()
    here, there = (key_of(make_finding(line=line), "/work", paths) for line in (3, 300))
    assert here == there
    assert here.rule == "PA201"
    assert here.function == "<module>"


def test_only_strays_count_and_each_place_once(make_finding: Make) -> None:
    findings = [
        make_finding(file="/nowhere/a.py", line=3),
        make_finding(file="/nowhere/a.py", line=9),
        make_finding(file="/nowhere/a.py", line=11, severity=Severity.INFO),
    ]
    runs = [("/nowhere", findings), ("/nowhere", findings[:1])]
    assert stray_keys(runs, ProjectPaths()) == (Key("PA201", "a.py", "<module>"),) * 2


def test_what_stands_nowhere_is_told_apart_by_what_it_says(make_finding: Make) -> None:
    findings = [make_finding(file="", line=0, message=text) for text in ("a", "b", "b")]
    assert len(stray_keys([("", findings)], ProjectPaths())) == 2


def test_written_and_read(tmp_path: Path) -> None:
    file = tmp_path / "baseline.json"
    written = Baseline.of([B, A, A])
    file.write_text(written.text(), encoding="utf-8")
    assert Baseline.read(file) == written
    document = json.loads(file.read_text())
    assert (document["schema"], document["version"]) == ("placeaudit-baseline", 1)
    assert document["findings"] == [
        {"rule": "PA201", "path": "train.py", "function": "main", "count": 2},
        {"rule": "PA202", "path": "train.py", "function": "main", "count": 1},
    ]
    assert json.loads(Baseline({}).text())["findings"] == []


def test_known_grown_and_gone() -> None:
    baseline = Baseline({A: 2, B: 1})
    assert baseline.compare([A, A, B], rules=RULES).known == {A, B}
    assert baseline.compare([A, B], rules=RULES).gone == {A: 1}
    grown = baseline.compare([A, A, A], rules=RULES)
    assert grown.known == frozenset()
    assert grown.grown == {A: (3, 2)}
    assert grown.gone == {B: 1}
    new = baseline.compare([A, A, B, Key("PA101", "x.py", "f")], rules=RULES)
    assert new.known == {A, B}
    assert not new.grown
    assert not new.gone


def test_what_a_rule_that_did_not_run_found_is_not_gone() -> None:
    baseline = Baseline({A: 2, B: 1})
    assert baseline.compare([], rules={"PA202"}).gone == {B: 1}
    assert baseline.kept(rules={"PA202"}) == Baseline({A: 2})
    assert baseline.kept(rules={"PA202"}) + Baseline.of([B]) == baseline


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is no baseline"),
        ("[]", "is no baseline of placeaudit"),
        ('{"schema": "other"}', "is no baseline of placeaudit"),
        ('{"schema": "placeaudit-baseline", "version": 2}', "upgrade placeaudit"),
        ('{"schema": "placeaudit-baseline", "version": 0}', "write it anew"),
        ('{"schema": "placeaudit-baseline", "version": 1}', "has no list of findings"),
        (
            '{"schema": "placeaudit-baseline", "version": 1, "findings": [{"rule": "PA201"}]}',
            "finding 1 is not as it was written",
        ),
        (
            '{"schema": "placeaudit-baseline", "version": 1, "findings": [3]}',
            "finding 1",
        ),
    ],
)
def test_what_is_no_baseline(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "baseline.json"
    file.write_text(text)
    with pytest.raises(BaselineError) as error:
        Baseline.read(file)
    assert message in str(error.value)
    assert str(file) in str(error.value)


def test_a_missing_one_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(BaselineError, match="--write-baseline"):
        Baseline.read(tmp_path / "baseline.json")
