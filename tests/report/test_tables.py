from __future__ import annotations

from placeaudit.report.base import Result
from placeaudit.report.tables import copies_table, placements_table, waits_table


def test_copies(gold_result: Result) -> None:
    table = copies_table(gold_result.audit)
    assert table.num_rows == 48
    upload, read = table.slice(0, 2).to_pylist()
    assert (upload["direction"], upload["src"], upload["dst"]) == ("h2d", "cpu", "cuda:0")
    assert (upload["bytes"], upload["file"], upload["line"]) == (1 << 20, "/work/train.py", 4)
    assert (upload["phase"], upload["module"], upload["time_s"]) == ("forward", None, 0.0)
    assert (read["direction"], read["line"], read["time_s"]) == ("d2h", 8, 0.008)


def test_waits_name_their_copy(gold_result: Result) -> None:
    table = waits_table(gold_result.audit)
    assert table.column("copy").to_pylist() == list(range(48))
    assert set(table.column("device").to_pylist()) == {"cuda:0"}


def test_placements(gold_result: Result) -> None:
    (row,) = placements_table(gold_result.audit).to_pylist()
    assert (row["kind"], row["owner"], row["name"]) == ("parameter", "Net", "head.weight")
    assert (row["device"], row["bytes"], row["expected_device"]) == ("cuda:0", 256, None)


def test_empty(empty_result: Result) -> None:
    for table in (copies_table, waits_table, placements_table):
        assert table(empty_result.audit).num_rows == 0
