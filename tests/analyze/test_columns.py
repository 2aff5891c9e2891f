from __future__ import annotations

import numpy as np
import pytest

from placeaudit.analyze import columns
from placeaudit.analyze.columns import distinct, gather, remap, shifted
from tests.analyze.builder import Builder, audit, noise

SOURCE = "def train():\n    x.to(device)\n    y.nonzero()\n    loss.item()\n"


def test_ids_are_mapped_and_none_stays_none() -> None:
    table = np.array([5, 7, 9], dtype=np.int16)
    ids = np.array([0, -1, 2, 3, 1], dtype=np.int8)
    assert remap(ids, table).tolist() == [5, -1, 9, -1, 7]
    assert remap(ids[:3], table).tolist() == [5, -1, 9]
    assert remap(ids[:0], table).tolist() == []
    assert remap(ids, table[:0]).tolist() == [-1] * 5


def test_a_map_to_itself_costs_nothing() -> None:
    ids = np.array([0, -1, 2], dtype=np.int8)
    assert remap(ids, np.arange(4, dtype=np.int8)) is ids


def test_shifting_widens() -> None:
    ids = np.array([-1, 0, 60], dtype=np.int8)
    assert shifted(ids, 0) is ids
    found = shifted(ids, 100_000)
    assert found.tolist() == [-1, 100_000, 100_060]
    assert found.dtype == np.int32


def test_parts_cover_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "_PART", 3)
    ids = np.arange(8, dtype=np.int8)
    assert gather(np.arange(10, 20), ids).tolist() == list(range(10, 18))


def test_distinct_is_sorted() -> None:
    assert distinct(np.array([3, -1, 3, 2], dtype=np.int8)).tolist() == [-1, 2, 3]
    assert distinct(np.array([3, 9, 3, 9])[::2]).tolist() == [3]


def test_waits_are_those_of_copies_and_their_own_in_order_of_time() -> None:
    b = Builder(SOURCE)
    b.copy("h2d", b.at("x.to(device)"), content=noise(1))
    b.wait("nonzero", b.at("y.nonzero()"))
    b.copy("h2d", b.at("x.to(device)"), content=noise(2), waits=False)
    b.copy("d2h", b.at("loss.item()"), size=4, content=None)
    found = audit(b)
    waits = found.waits
    assert len(waits) == 3
    assert waits.copy.tolist() == [0, -1, 2]
    assert [found.text(i) for i in waits.cause.tolist()] == ["copy_", "nonzero", "copy_"]
    assert [found.text(i) for i in waits.device.tolist()] == ["cuda:0"] * 3
    assert (np.diff(waits.time_ns) > 0).all()
    assert waits.blocked_ns.tolist()[::2] == found.copies.blocked_ns[[0, 2]].tolist()
    with pytest.raises(AttributeError):
        waits.colour  # noqa: B018


def test_many_processes_stay_apart() -> None:
    builders = [Builder(SOURCE, name=f"p{i}-0") for i in range(3)]
    for number, b in enumerate(builders):
        for _ in range(number):
            b.string(f"only in {number}")
        b.copy("h2d", b.at("x.to(device)"), content=noise(number), storages=(100, 101))
    found = audit(*builders)
    assert found.copies.process.tolist() == [0, 1, 2]
    assert len(set(found.copies.src_storage.tolist())) == 3
    assert {found.text(i) for i in found.copies.dst_device.tolist()} == {"cuda:0"}
    assert [found.stacks[i][0].line for i in found.copies.stack.tolist()] == [2, 2, 2]


def test_waits_alone_are_those_of_no_copy() -> None:
    b = Builder(SOURCE)
    b.copy("h2d", b.at("x.to(device)"), content=noise(1))
    b.wait("nonzero", b.at("y.nonzero()"))
    found = audit(b)
    alone = found.waits.alone
    assert len(alone) == 1
    assert alone.copy.tolist() == [-1]
    assert found.text(int(alone.cause[0])) == "nonzero"
    assert alone.time_ns.tolist() == found.waits.own("time_ns").tolist()
    assert found.waits.alone is alone
