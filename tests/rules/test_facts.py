"""Codes, their order in parts, and what rules find with them."""

from __future__ import annotations

import numpy as np
import pytest

from placeaudit.rules import facts
from placeaudit.rules.facts import by_code, codes, latest_download, previous_same


def test_codes_are_equal_where_all_columns_are() -> None:
    random = np.random.default_rng(0)
    columns = [random.integers(-1, 6, 500).astype(kind) for kind in (np.int8, np.int32, np.int64)]
    found = codes(*columns, np.arange(500, dtype=np.uint64) // 2)
    rows = list(zip(*columns, range(500), strict=True))
    same: dict[tuple[int, ...], int] = {}
    for code, (a, b, c, i) in zip(found.tolist(), rows, strict=True):
        assert same.setdefault((int(a), int(b), int(c), i // 2), code) == code
    assert len(set(same.values())) == len(same)


def test_narrow_and_wide_columns_give_the_same_codes() -> None:
    values = np.array([-1, 0, 5])
    assert codes(values.astype(np.int8)).tolist() == codes(values).tolist()


@pytest.mark.parametrize("part", [4, 1 << 20])
def test_parts_change_no_result(monkeypatch: pytest.MonkeyPatch, part: int) -> None:
    monkeypatch.setattr(facts, "_CODES", part)
    random = np.random.default_rng(1)
    code = codes(random.integers(0, 30, 300))
    down = random.integers(0, 2, 300).astype(np.bool_)
    orders = list(by_code(code))
    assert (len(orders) > 1) is (part == 4)
    assert sorted(np.concatenate(orders).tolist()) == list(range(300))
    earlier = previous_same(code)
    pairs = {
        int(up): (int(source), int(first))
        for ups, sources, firsts in latest_download(code, down)
        for up, source, first in zip(ups, sources, firsts, strict=True)
    }
    for i in range(300):
        before = np.flatnonzero(code[:i] == code[i])
        assert earlier[i] == (before[-1] if len(before) else -1)
        downloads = before[down[before]]
        expected = (downloads[-1], before[0]) if len(downloads) and not down[i] else None
        assert pairs.get(i) == expected


@pytest.mark.parametrize(
    ("columns", "count"),
    [
        (([1, 1, 2], [1, 2, 2]), 3),
        (([1, 1, 2], [1, 1, 2]), 2),
        (([2, 1, 2], [1, 1, 1]), 2),
        (([], []), 0),
    ],
)
def test_different_rows_are_counted(columns: tuple[list[int], ...], count: int) -> None:
    assert facts._runs(*(np.array(c, dtype=np.int64) for c in columns)) == count
