from __future__ import annotations

from pathlib import Path

from placeaudit.verdict.sources import source_changes

TEXT = "a\nb\nc\n"


def test_nothing_changed(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    file.write_bytes(b"a\r\nb\r\nc")
    found = source_changes({str(file): TEXT}, {str(file): {1}})
    assert (found.changed, found.gone, found.looked_at) == ({}, (), 1)
    assert found.notice({}) == ""


def test_lines_that_moved(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    file.write_text("a\nnew\nb\nc\n")
    found = source_changes({str(file): TEXT}, {str(file): [1, 2, 3]})
    assert found.changed == {str(file): (2, 3)}
    assert found.notice({str(file): "a.py"}) == (
        "a.py changed since the record was made (2 lines of findings moved or changed): findings "
        "name the lines of the record"
    )


def test_a_change_below(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    file.write_text(TEXT + "d\n")
    notice = source_changes({str(file): TEXT}, {str(file): [1]}).notice({})
    assert "no line of a finding moved" in notice


def test_a_form_feed_is_no_line(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    file.write_text("\x0c\na\nnew\nb\n")
    found = source_changes({str(file): "\x0c\na\nb\n"}, {str(file): [2, 3]})
    assert found.changed == {str(file): (3,)}


def test_files_that_are_gone(tmp_path: Path) -> None:
    here, gone = tmp_path / "a.py", str(tmp_path / "b.py")
    here.write_text(TEXT)
    found = source_changes({str(here): TEXT, gone: TEXT}, {str(here): [1], gone: [1]})
    assert found.gone == (gone,)
    assert found.notice({gone: "b.py"}).startswith("b.py is gone: ")
    assert "not on this machine" in source_changes({gone: TEXT}, {gone: [1]}).notice({})


def test_what_cannot_be_compared() -> None:
    found = source_changes({"<stdin>": TEXT}, {"<stdin>": [1], "/not/recorded.py": [1]})
    assert found.looked_at == 0
