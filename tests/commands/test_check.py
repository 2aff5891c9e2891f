from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]


def test_findings_exit_with_1(placeaudit: Call, gold_record: Path) -> None:
    done = placeaudit("check", gold_record)
    assert done.code == 1
    assert "PA202 pageable-upload" in done.out
    assert done.err == ""


def test_exit_zero(placeaudit: Call, gold_record: Path) -> None:
    assert placeaudit("check", gold_record, "--exit-zero").code == 0


def test_json(placeaudit: Call, gold_record: Path) -> None:
    done = placeaudit("check", gold_record, "--output-format", "json")
    assert done.code == 1
    document = json.loads(done.out)
    assert {finding["rule"] for finding in document["findings"]} == {"PA201", "PA202"}


def test_select_and_ignore(placeaudit: Call, gold_record: Path) -> None:
    def rules(*options: str) -> set[str]:
        done = placeaudit("check", gold_record, "--output-format=json", *options)
        return {finding["rule"] for finding in json.loads(done.out)["findings"]}

    assert rules("--select", "PA201") == {"PA201"}
    assert rules("--select", "PA1") == set()
    assert rules("--ignore", "PA201,PA101") == {"PA202"}
    assert rules("--ignore", "scalar-read", "--ignore", "PA202") == set()


def test_ignored_findings_do_not_fail(placeaudit: Call, gold_record: Path) -> None:
    assert placeaudit("check", gold_record, "--ignore", "PA2").code == 0


def test_an_unknown_rule_is_one_line(placeaudit: Call, gold_record: Path) -> None:
    done = placeaudit("check", gold_record, "--select", "PA20l")
    assert done.code == 2
    assert done.err.startswith("placeaudit: there is no rule 'PA20l'; did you mean PA2")
    assert done.err.count("\n") == 1


def test_output_file(placeaudit: Call, gold_record: Path) -> None:
    args = ("check", gold_record, "--output-format", "json", "--output-file", "found.json")
    done = placeaudit(*args)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("placeaudit: wrote found.json (")
    assert json.loads(Path("found.json").read_text())["version"] == 1
    again = placeaudit(*args)
    assert again.code == 2
    assert "--force" in again.err
    assert placeaudit(*args, "-f", "-q").err == ""


def test_several_runs(placeaudit: Call, gold_record: Path) -> None:
    done = placeaudit("check", gold_record, gold_record, "--output-format=json")
    document = json.loads(done.out)
    assert len(document["runs"]) == 2
    assert {finding["run"] for finding in document["findings"]} == {0, 1}


def cut(record: Path) -> None:
    (stream,) = record.glob("p*/copies.arrow")
    stream.write_bytes(stream.read_bytes()[:-200])


def empty(record: Path) -> None:
    (record / "meta.json").write_text("")


def newer(record: Path) -> None:
    meta = json.loads((record / "meta.json").read_text())
    (record / "meta.json").write_text(json.dumps(meta | {"schema": 999}))


def no_record(record: Path) -> None:
    for file in sorted(record.rglob("*"), reverse=True):
        file.rmdir() if file.is_dir() else file.unlink()


@pytest.mark.parametrize("damage", [empty, newer, no_record])
@pytest.mark.parametrize("command", ["check", "report"])
def test_a_record_that_cannot_be_read_is_one_line(
    placeaudit: Call, gold_record: Path, command: str, damage: Callable[[Path], None]
) -> None:
    damage(gold_record)
    done = placeaudit(command, gold_record)
    assert done.code == 2
    assert done.out == ""
    assert done.err.startswith("placeaudit: ")
    assert done.err.count("\n") == 1
    assert str(gold_record) in done.err


def test_a_cut_record_is_read_and_says_so(placeaudit: Call, gold_record: Path) -> None:
    cut(gold_record)
    done = placeaudit("check", gold_record, "--output-format=json")
    assert done.code in {0, 1}
    assert "PA901" in {finding["rule"] for finding in json.loads(done.out)["findings"]}


def test_a_missing_record_names_it(placeaudit: Call) -> None:
    done = placeaudit("check", "nowhere")
    assert done.code == 2
    assert "nowhere" in done.err


def test_a_terminal_that_knows_ascii_only(
    placeaudit: Call, gold_record: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    assert placeaudit("check", gold_record).code == 1
    assert b"24? ? 1 a step ? cuda:0 ? cpu" in raw.getvalue()
