from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]
Make = Callable[..., Path]


@pytest.fixture
def later_record(make_record: Make, tmp_path: Path) -> Path:
    """As the gold record, in another checkout, with uploads twice as large and no reads."""
    return make_record(tmp_path / "later", upload=2 << 20, reads=False)


def test_nothing_changed(placeaudit: Call, gold_record: Path) -> None:
    done = placeaudit("diff", gold_record, gold_record, "--fail-on", "copies,blocked_s,findings")
    assert (done.code, done.err) == (0, "")
    assert "new:" not in done.out
    assert "gone:" not in done.out
    rows = [line for line in done.out.splitlines() if line.startswith("bytes host to device ")]
    assert rows[0].split()[-5:] == ["24", "MiB", "24", "MiB", "="]


def test_figures_and_findings(placeaudit: Call, gold_record: Path, later_record: Path) -> None:
    done = placeaudit("diff", gold_record, later_record, "--output-format=json")
    assert done.code == 0
    document = json.loads(done.out)
    assert (document["schema"], document["version"]) == ("placeaudit-diff", 1)
    figures = document["figures"]
    assert figures["h2d_bytes"] == {
        "before": 24 << 20,
        "after": 48 << 20,
        "ratio": 1.0,
        "unit": "bytes",
    }
    assert figures["h2d_bytes_per_step"]["after"] == 2 << 20
    assert (figures["d2h_copies"]["before"], figures["d2h_copies"]["after"]) == (24, 0)
    assert (figures["waits"]["before"], figures["waits"]["after"]) == (48, 24)
    assert (figures["d2h_waits"]["before"], figures["d2h_waits"]["after"]) == (24, 0)
    assert figures["call_waits"]["after"] == 0
    assert (figures["findings"]["before"], figures["findings"]["after"]) == (2, 1)
    assert document["new"] == []
    (fixed,) = document["fixed"]
    assert (fixed["rule"], fixed["function"], fixed["count"]) == ("PA201", "<module>", 1)


def test_text_says_what_is_new_and_gone(
    placeaudit: Call, gold_record: Path, later_record: Path
) -> None:
    out = placeaudit("diff", gold_record, later_record).out
    assert "1 finding gone:\n  PA201 scalar-read " in out
    back = placeaudit("diff", later_record, gold_record).out
    assert "1 finding new:\n  PA201 scalar-read " in back


def test_shifted_lines_are_no_change(
    placeaudit: Call, gold_record: Path, make_record: Make
) -> None:
    shifted = make_record(gold_record.parent / "shifted", shift=9)
    done = placeaudit("diff", gold_record, shifted, "--fail-on=new_findings")
    assert done.code == 0


@pytest.mark.parametrize(
    ("threshold", "code"),
    [
        ("h2d_bytes:5%", 1),
        ("h2d_bytes:100%", 0),
        ("h2d_bytes:99.9%", 1),
        ("h2d_bytes:23MiB", 1),
        ("h2d_bytes:24MiB", 0),
        ("h2d_bytes:24000000", 1),
        ("h2d-bytes", 1),
        ("h2d_bytes_per_step:1MiB", 0),
        ("d2h_bytes", 0),
        ("blocked_s:1s", 0),
        ("blocked_s:1us", 1),
        ("findings", 0),
        ("new_findings:0", 0),
        ("findings, h2d_bytes:5%", 1),
    ],
)
def test_thresholds(
    placeaudit: Call, gold_record: Path, later_record: Path, threshold: str, code: int
) -> None:
    done = placeaudit("diff", gold_record, later_record, "--fail-on", threshold)
    assert done.code == code
    assert ("exceeded " in done.out) is (code == 1)


def test_several_thresholds(placeaudit: Call, gold_record: Path, later_record: Path) -> None:
    args = ("diff", later_record, gold_record, "--fail-on=d2h_copies:5%", "--fail-on=waits:24")
    done = placeaudit(*args, "--fail-on=new_findings")
    assert done.code == 1
    assert "exceeded d2h_copies:5%: d2h_copies 0 → 24 (new)" in done.out
    assert "exceeded waits" not in done.out
    assert "exceeded new_findings: new_findings 0 → 1 (new)" in done.out


@pytest.mark.parametrize(
    ("threshold", "message"),
    [
        ("h2d_byte:5%", "there is no figure 'h2d_byte' to fail on; did you mean 'h2d_bytes'?"),
        ("zzz", "known: copies, bytes"),
        ("h2d_bytes:", "names no threshold"),
        ("h2d_bytes:-5%", "names no threshold"),
        ("h2d_bytes:5ms", "with a unit (B, KB"),
        ("copies:5KiB", "with a unit (none)"),
    ],
)
def test_thresholds_that_make_no_sense(
    placeaudit: Call, gold_record: Path, threshold: str, message: str
) -> None:
    done = placeaudit("diff", gold_record, gold_record, "--fail-on", threshold)
    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert done.err.count("\n") == 1


def test_other_numbers_of_steps_are_said(
    placeaudit: Call, gold_record: Path, make_record: Make
) -> None:
    longer = make_record(gold_record.parent / "longer", steps=48)
    done = placeaudit("diff", gold_record, longer, "--fail-on=h2d_bytes_per_step:1%")
    assert done.code == 0
    assert "note: 24 steps before and 48 after" in done.out
    assert placeaudit("diff", gold_record, longer, "--fail-on=h2d_bytes").code == 1


def test_what_was_not_measured_is_not_compared(
    placeaudit: Call, gold_record: Path, make_record: Make, empty_record: Path
) -> None:
    done = placeaudit("diff", gold_record, empty_record)
    assert done.code == 0
    assert "not measured" in done.out
    assert "note: " in done.out
    done = placeaudit("diff", gold_record, empty_record, "--fail-on=bytes")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "cannot fail on bytes: it was not measured in" in done.err
    for figure in ("findings", "new_findings"):
        assert placeaudit("diff", gold_record, empty_record, "--fail-on", figure).code == 2
    real = make_record(gold_record.parent / "real", simulated="")
    done = placeaudit("diff", gold_record, real, "--fail-on=blocked_s:5%")
    assert done.code == 2
    assert "it is modelled on h100 in one run and measured in the other" in done.err
    assert placeaudit("diff", gold_record, real, "--fail-on=h2d_bytes:5%").code == 0


def test_markdown(placeaudit: Call, gold_record: Path, later_record: Path) -> None:
    done = placeaudit(
        "diff", later_record, gold_record, "--output-format=markdown", "--fail-on=findings"
    )
    assert done.code == 1
    assert done.out.startswith("### ⚠️ placeaudit: 1 new finding, 0 gone\n")
    assert "| bytes host to device | 48 MiB | 24 MiB | -50.0% |" in done.out
    assert "* **exceeded findings: findings 1 → 2 (+100.0%)**" in done.out


def test_a_file(placeaudit: Call, gold_record: Path) -> None:
    args = ("diff", gold_record, gold_record, "--output-file", "diff.txt")
    assert placeaudit(*args).out == ""
    assert "--force" in placeaudit(*args).err
    assert Path("diff.txt").read_text().startswith("placeaudit: ")


def test_a_missing_record(placeaudit: Call, gold_record: Path) -> None:
    done = placeaudit("diff", gold_record, "nowhere")
    assert (done.code, done.err.count("\n")) == (2, 1)
