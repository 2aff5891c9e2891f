from __future__ import annotations

from pathlib import Path

import pytest

from placeaudit.errors import OutputError
from placeaudit.report.base import write


def test_an_existing_file_needs_force(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    write("one", path)
    with pytest.raises(OutputError, match="--force"):
        write("two", path)
    assert path.read_text() == "one"
    write("two", path, force=True)
    assert path.read_text() == "two"
    assert [file.name for file in tmp_path.iterdir()] == ["out.txt"]


def test_unwritable_places_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="is a directory"):
        write("x", tmp_path)
    with pytest.raises(OutputError, match="cannot write"):
        write("x", tmp_path / "nowhere" / "out.txt")


def test_a_report_can_be_read_by_others(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("")
    write("x", tmp_path / "out.txt")
    assert (tmp_path / "out.txt").stat().st_mode == (tmp_path / "plain").stat().st_mode
