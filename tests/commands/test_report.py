from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

Call = Callable[..., Any]


def test_the_page_is_written_and_announced(placeaudit: Call, gold_record: Path) -> None:
    done = placeaudit("report", gold_record, "-o", "page.html")
    assert (done.code, done.out) == (0, "")
    assert done.err.startswith("placeaudit: wrote page.html (")
    assert Path("page.html").read_text().startswith("<!DOCTYPE html>")


def test_an_existing_page_needs_force(placeaudit: Call, gold_record: Path) -> None:
    Path("placeaudit-report.html").write_text("mine")
    done = placeaudit("report", gold_record)
    assert done.code == 2
    assert "--force" in done.err
    assert Path("placeaudit-report.html").read_text() == "mine"
    assert placeaudit("report", gold_record, "--force", "-q").err == ""
    assert Path("placeaudit-report.html").read_text() != "mine"


def test_an_unwritable_place_is_one_line(placeaudit: Call, gold_record: Path) -> None:
    done = placeaudit("report", gold_record, "-o", "no/such/page.html")
    assert done.code == 2
    assert done.err == "placeaudit: cannot write no/such/page.html: No such file or directory\n"


def test_it_opens_only_when_asked(
    placeaudit: Call, gold_record: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(click, "launch", opened.append)
    placeaudit("report", gold_record, "-o", "a.html")
    assert opened == []
    placeaudit("report", gold_record, "-o", "b.html", "--open")
    assert opened == [str(Path("b.html").absolute())]


def test_the_page_shows_what_was_selected(placeaudit: Call, gold_record: Path) -> None:
    placeaudit("report", gold_record, "-o", "all.html")
    placeaudit("report", gold_record, "-o", "one.html", "--select", "PA201")
    assert "PA202" in Path("all.html").read_text()
    assert "PA202" not in Path("one.html").read_text()
