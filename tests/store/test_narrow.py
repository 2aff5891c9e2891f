from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from placeaudit.store.narrow import NarrowTable, narrowest


@pytest.mark.parametrize(
    ("low", "high", "kind"),
    [
        (-1, 0, np.int8),
        (-1, 63, np.int8),
        (-1, 64, np.int16),
        (-65, 0, np.int16),
        (0, 16383, np.int16),
        (0, 16384, np.int32),
        (0, 2**30 - 1, np.int32),
        (0, 2**30, np.int64),
        (0, 2**62, np.int64),
    ],
)
def test_the_sum_of_two_fits(low: int, high: int, kind: type) -> None:
    assert narrowest(low, high) == kind


SCHEMA = pa.schema(
    [("time_ns", pa.int64()), ("stack", pa.int32()), ("pinned", pa.bool_()),
     ("content_hash", pa.uint64())]
)  # fmt: skip


def batch(*stacks: int) -> pa.RecordBatch:
    count = len(stacks)
    columns = [range(count), stacks, [True] * count, [2**64 - 1] * count]
    return pa.record_batch(
        [pa.array(list(c), f.type) for c, f in zip(columns, SCHEMA, strict=True)], schema=SCHEMA
    )


def test_batches_become_one_narrow_chunk() -> None:
    table = NarrowTable(SCHEMA)
    for rows in ((-1, 3), (), (40_000,)):
        table.add(batch(*rows))
    whole = table.table()
    assert whole.column("stack").to_pylist() == [-1, 3, 40_000]
    assert whole.column("content_hash").to_pylist() == [2**64 - 1] * 3
    assert [str(t) for t in whole.schema.types] == ["int64", "int32", "bool", "uint64"]
    assert {column.num_chunks for column in whole.columns} == {1}
    few = NarrowTable(SCHEMA)
    few.add(batch(-1, 3))
    assert str(few.table().schema.field("stack").type) == "int8"


def test_no_batch_is_an_empty_table_of_the_schema() -> None:
    assert NarrowTable(SCHEMA).table().schema == SCHEMA
