from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import placeaudit as package

Call = Callable[..., Any]


def test_help_lists_every_command(placeaudit: Call) -> None:
    done = placeaudit("--help")
    assert done == placeaudit()
    assert done.code == 0
    for name in ("trace", "check", "report", "explain"):
        assert f"\n  {name} " in done.out


def test_version(placeaudit: Call) -> None:
    assert placeaudit("--version").out == f"placeaudit, version {package.__version__}\n"


@pytest.mark.parametrize(
    "args",
    [
        ("nonsense",),
        ("check",),
        ("check", "--no-such-option", "x"),
        ("trace",),
        ("trace", "--no-such-option", "train.py"),
        ("report",),
    ],
)
def test_wrong_usage_is_one_line_and_2(placeaudit: Call, args: tuple[str, ...]) -> None:
    done = placeaudit(*args)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("placeaudit: ")
    assert done.err.count("\n") == 1


def test_a_fault_of_ours_is_no_verdict(
    placeaudit: Call, gold_record: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise IndexError("index 4 is out of bounds")

    monkeypatch.setattr("placeaudit.settings.Settings.judge", broken)
    done = placeaudit("check", gold_record)
    assert (done.code, done.out) == (2, "")
    assert "IndexError: index 4 is out of bounds" in done.err
    assert done.err.splitlines()[-1].startswith("placeaudit: this is a fault of placeaudit")
