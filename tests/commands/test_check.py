from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from placeaudit.errors import OutputError
from placeaudit.store.writer import RecordWriter, create_run

Call = Callable[..., Any]


def test_findings_exit_with_1(placeaudit: Call, gold_record: Path) -> None:
    done = placeaudit("check", gold_record)
    assert done.code == 1
    assert "PA202 pageable-upload" in done.out
    assert done.err == (
        "placeaudit: the sources are not on this machine, or not any more: findings name the lines "
        "of the record\n"
    )
    assert placeaudit("check", gold_record, "-q").err == ""


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


def test_an_option_without_a_rule_is_one_line(placeaudit: Call, gold_record: Path) -> None:
    for option in ("--select", "--ignore", "--extend-select"):
        done = placeaudit("check", gold_record, option, " ,")
        assert done.code == 2
        assert done.err.startswith(f"placeaudit: {option} names no rule")


def test_output_file(placeaudit: Call, gold_record: Path) -> None:
    args = ("check", gold_record, "--output-format", "json", "--output-file", "found.json")
    done = placeaudit(*args)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("placeaudit: wrote found.json (")
    assert done.err.count("\n") == 2
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


def killed(record: Path) -> None:
    """As a program that was killed leaves it."""
    (file,) = record.glob("p*/meta.json")
    meta = json.loads(file.read_text())
    meta.pop("exit_code", None)
    file.write_text(json.dumps(meta | {"ended": False}))
    cut(record)


def without_strings(record: Path) -> None:
    (stream,) = record.glob("p*/strings.arrow")
    stream.unlink()


def empty(record: Path) -> None:
    (record / "meta.json").write_text("")


def newer(record: Path) -> None:
    meta = json.loads((record / "meta.json").read_text())
    (record / "meta.json").write_text(json.dumps(meta | {"schema": 999}))


def no_record(record: Path) -> None:
    for file in sorted(record.rglob("*"), reverse=True):
        file.rmdir() if file.is_dir() else file.unlink()


@pytest.mark.parametrize("damage", [empty, newer, no_record, cut, without_strings])
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
    killed(gold_record)
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


# --- configuration ----------------------------------------------------------------------------


def rules(done: Any) -> set[str]:
    return {finding["rule"] for finding in json.loads(done.out)["findings"]}


def test_the_command_line_over_the_environment_over_the_file(
    placeaudit: Call, gold_record: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("pyproject.toml").write_text(
        '[tool.placeaudit]\nselect = ["PA201"]\noutput-format = "json"\n'
    )
    assert rules(placeaudit("check", gold_record)) == {"PA201"}
    assert rules(placeaudit("check", gold_record, "--extend-select=PA202")) == {"PA201", "PA202"}
    monkeypatch.setenv("PLACEAUDIT_SELECT", "PA202")
    assert rules(placeaudit("check", gold_record)) == {"PA202"}
    assert rules(placeaudit("check", gold_record, "--select=PA201")) == {"PA201"}
    assert placeaudit("check", gold_record, "--output-format=text").out.startswith("placeaudit: ")


def test_wrong_settings_are_one_line(
    placeaudit: Call, gold_record: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused() -> str:
        done = placeaudit("check", gold_record)
        assert (done.code, done.out) == (2, "")
        assert done.err.count("\n") == 1
        err: str = done.err
        return err

    file = Path("pyproject.toml")
    file.write_text("[tool.placeaudit]\nselct = []\n")
    assert (
        "pyproject.toml: [tool.placeaudit] has no key 'selct'; did you mean 'select'?" in refused()
    )
    file.write_text('[tool.placeaudit]\nignore = "PA1"\n')
    assert "ignore must be a list of strings" in refused()
    file.write_text('[tool.placeaudit]\nignore = ["PA20l"]\n')
    assert "pyproject.toml: [tool.placeaudit]: there is no rule 'PA20l'; did you mean" in refused()
    file.write_text('[tool.placeaudit]\nper-file-ignores = { "a" = ["PA20l"] }\n')
    assert "there is no rule 'PA20l'" in refused()
    file.unlink()
    monkeypatch.setenv("PLACEAUDIT_BASLINE", "x")
    assert "did you mean 'PLACEAUDIT_BASELINE'?" in refused()


def test_per_file_ignores(placeaudit: Call, gold_record: Path) -> None:
    Path("pyproject.toml").write_text(
        '[tool.placeaudit]\nper-file-ignores = { "*/train.py" = ["PA2"] }\n'
    )
    assert placeaudit("check", gold_record).code == 0
    assert placeaudit("check", gold_record, "--per-file-ignores", "train.py:PA201").code == 1
    assert "is no list of PATTERN:RULE" in (
        placeaudit("check", gold_record, "--per-file-ignores", "PA201").err
    )


# --- baseline ---------------------------------------------------------------------------------


def test_a_baseline_silences_what_it_knows(placeaudit: Call, gold_record: Path) -> None:
    written = placeaudit("check", gold_record, "--write-baseline", "known.json", "-q")
    assert (written.code, written.out, written.err) == (0, "", "")
    done = placeaudit("check", gold_record, "--baseline", "known.json")
    assert done.code == 0
    assert "Nothing new: 2 findings that the baseline knows left out." in done.out
    assert "placeaudit: 2 findings known to known.json left out\n" in done.err
    Path("pyproject.toml").write_text('[tool.placeaudit]\nbaseline = "known.json"\n')
    assert placeaudit("check", gold_record).code == 0
    assert placeaudit("check", gold_record, "--baseline", "").code == 1


def test_a_baseline_survives_shifted_lines(
    placeaudit: Call, gold_record: Path, make_record: Callable[..., Path], tmp_path: Path
) -> None:
    placeaudit("check", gold_record, "--write-baseline", "known.json")
    shifted = make_record(tmp_path / "shifted", shift=7)
    assert placeaudit("check", shifted).code == 1
    assert placeaudit("check", shifted, "--baseline", "known.json").code == 0


def test_a_new_finding_fails(placeaudit: Call, gold_record: Path) -> None:
    placeaudit("check", gold_record, "--select=PA202", "--write-baseline", "known.json")
    done = placeaudit("check", gold_record, "--baseline=known.json", "--output-format=json")
    assert done.code == 1
    assert rules(done) == {"PA201"}


def entries(known: Path) -> dict[str, int]:
    found = json.loads(known.read_text())["findings"]
    return {
        f"{entry['rule']} {entry['path']} {entry['function']}": entry["count"] for entry in found
    }


@pytest.fixture
def known(placeaudit: Call, gold_record: Path) -> Path:
    """A baseline with the two findings of today and five that are not found."""
    file = Path("known.json")
    placeaudit("check", gold_record, "--write-baseline", file)
    document = json.loads(file.read_text())
    path = document["findings"][0]["path"]
    document["findings"][0]["count"] += 1
    document["findings"] += [
        {"rule": "PA101", "path": path, "function": "f", "count": 1},
        {"rule": "PA101", "path": "old.py", "function": "f", "count": 3},
    ]
    file.write_text(json.dumps(document))
    return file


def test_a_baseline_shrinks_by_itself(placeaudit: Call, gold_record: Path, known: Path) -> None:
    path = next(iter(entries(known))).split()[1]
    done = placeaudit("check", gold_record, "--baseline", known)
    assert done.code == 0
    assert f"dropped from known.json what is gone: PA201 {path}" in done.err
    assert f", PA101 {path} in f\n" in done.err
    # What the run never came to is not known to be gone.
    assert "3 findings of known.json not found in this run: PA101 old.py in f; " in done.err
    assert sorted(entries(known).values()) == [1, 1, 3]
    assert "dropped" not in placeaudit("check", gold_record, "--baseline", known).err


@pytest.mark.parametrize(
    "option",
    ["--keep-baseline", "--select=PA203", "--per-file-ignores=*.py:ALL"],
)
def test_what_was_not_looked_for_is_not_gone(
    placeaudit: Call, gold_record: Path, known: Path, option: str
) -> None:
    before = known.read_text()
    assert placeaudit("check", gold_record, "--baseline", known, option).code == 0
    assert known.read_text() == before


def test_a_run_that_failed_shrinks_nothing(
    placeaudit: Call, make_record: Callable[..., Path], tmp_path: Path, known: Path
) -> None:
    before = known.read_text()
    failed = make_record(tmp_path / "failed", exit_code=1)
    done = placeaudit("check", failed, "--baseline", known)
    assert "5 findings of known.json not found in this run" in done.err
    assert known.read_text() == before


def test_a_run_that_was_cut_shrinks_nothing(
    placeaudit: Call, gold_record: Path, known: Path
) -> None:
    """A full disk, say: the program ended well, the record did not."""
    before = known.read_text()
    (file,) = gold_record.glob("p*/meta.json")
    file.write_text(json.dumps(json.loads(file.read_text()) | {"ended": False}))
    done = placeaudit("check", gold_record, "--baseline", known)
    assert "not found in this run" in done.err
    assert known.read_text() == before


def test_a_baseline_that_cannot_be_written_is_said(
    placeaudit: Call, gold_record: Path, known: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OutputError("cannot write known.json: No space left on device")

    monkeypatch.setattr("placeaudit.report.base.write", full)
    done = placeaudit("check", gold_record, "--baseline", known)
    assert done.code == 0
    assert "cannot write known.json: No space left on device; gone from the code" in done.err


def test_writing_drops_what_is_not_found(placeaudit: Call, gold_record: Path, known: Path) -> None:
    # What a rule that did not run found once stays.
    placeaudit("check", gold_record, "--write-baseline", known, "--select=PA202")
    assert entries(known)["PA101 old.py f"] == 3
    done = placeaudit("check", gold_record, "--write-baseline", known)
    assert "wrote known.json: 2 known findings (0 new, 5 dropped as no longer found)" in done.err
    assert sorted(entries(known).values()) == [1, 1]


def test_more_than_is_known_is_all_shown(
    placeaudit: Call, gold_record: Path, make_record: Callable[..., Path], tmp_path: Path
) -> None:
    placeaudit("check", gold_record, "--write-baseline", "known.json")
    # The same findings at other lines of the same function: two of each where one is known.
    second = make_record(tmp_path / "second", shift=7)
    done = placeaudit("check", gold_record, second, "--baseline=known.json", "--output-format=json")
    assert done.code == 1
    assert len(json.loads(done.out)["findings"]) == 4
    assert "2 findings where known.json knows 1; which is new cannot be told" in done.err


def test_baselines_that_are_refused(placeaudit: Call, gold_record: Path, tmp_path: Path) -> None:
    def refused(option: str, file: str, record: Path = gold_record) -> str:
        done = placeaudit("check", record, option, file)
        assert (done.code, done.out) == (2, "")
        assert done.err.count("\n") == 1
        err: str = done.err
        return err

    assert "--write-baseline none.json makes one" in refused("--baseline", "none.json")
    Path("other.json").write_text('{"schema": "placeaudit-baseline", "version": 7}')
    assert "version 7; this placeaudit reads 1" in refused("--baseline", "other.json")
    assert "version 7" in refused("--write-baseline", "other.json")
    Path("mine.txt").write_text("mine")
    assert "mine.txt is no baseline" in refused("--write-baseline", "mine.txt")
    assert Path("mine.txt").read_text() == "mine"


# --- formats ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("output_format", "begin"),
    [
        ("sarif", '{\n  "$schema"'),
        ("github", "::warning file="),
        ("junit", "<?xml"),
        ("markdown", "### ⚠️"),
    ],
)
def test_formats(placeaudit: Call, gold_record: Path, output_format: str, begin: str) -> None:
    done = placeaudit("check", gold_record, "--output-format", output_format)
    assert done.code == 1
    assert done.out.startswith(begin)
    args = ("check", gold_record, "--output-format", output_format, "--output-file", "out", "-q")
    assert placeaudit(*args).out == ""
    assert Path("out").read_text(encoding="utf-8") == done.out


# --- sources ----------------------------------------------------------------------------------


def test_lines_that_moved_since_are_said(
    placeaudit: Call, make_record: Callable[..., Path], tmp_path: Path, source: str
) -> None:
    file = tmp_path / "train.py"
    file.write_text(source)
    record = make_record(tmp_path / "run", file=str(file))
    assert placeaudit("check", record).err == ""
    file.write_text("import os\n" + source)
    done = placeaudit("check", record)
    assert done.code == 1
    assert "train.py changed since the record was made (2 lines of findings moved" in done.err
    file.unlink()
    assert "the sources are not on this machine" in placeaudit("check", record).err


@pytest.mark.parametrize(
    ("comment", "message"),
    [
        ("# placeaudit: ignore", "train.py:8: `# placeaudit: ignore` names no rule"),
        ("# placeaudit: ignore[PA20l]", "train.py:8: there is no rule 'PA20L'; did you mean"),
    ],
)
def test_an_ignore_without_a_rule_is_refused(
    placeaudit: Call,
    make_record: Callable[..., Path],
    tmp_path: Path,
    source: str,
    comment: str,
    message: str,
) -> None:
    text = source.replace("loss.item()", f"loss.item()  {comment}")
    record = make_record(tmp_path / "run", source=text)
    done = placeaudit("check", record)
    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert done.err.count("\n") == 1


def test_what_was_not_observed_passes_no_gate(placeaudit: Call, tmp_path: Path) -> None:
    run = tmp_path / "nothing"
    create_run(run, argv=["train.py"])
    writer = RecordWriter(run, flush_interval_s=3600)
    writer.start()
    writer.close(exit_code=0)
    done = placeaudit("check", run)
    assert done.code == 2
    assert "nothing could be observed, which passes no gate" in done.err
    assert placeaudit("check", run, "--exit-zero").code == 0
