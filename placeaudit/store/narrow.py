"""Long tables in memory: each integer column in the smallest type that holds it.

A record's columns have types that hold any run; the ids and sizes of one run mostly fit into a byte
or two.  Batches are narrowed as they are read, so that the wide form exists one batch at a time.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

__all__ = ["NARROWED", "NarrowTable", "narrowest"]

#: Tables with a row for every event.
NARROWED: Final = frozenset({"copies", "waits"})
#: Rows that are narrowed at a time.
_PART: Final = 1 << 19
#: Quantities that rules multiply: they stay wide.
_WIDE: Final = frozenset({"time_ns", "bytes", "content_hash"})
_TYPES: Final = (np.int8, np.int16, np.int32, np.int64)


def narrowest(low: int, high: int) -> np.dtype[Any]:
    """The smallest signed type that holds twice ``low`` to ``high``: sums of two stay right."""
    for kind in _TYPES[:-1]:
        limits = np.iinfo(kind)
        if 2 * low >= limits.min and 2 * high <= limits.max:
            return np.dtype(kind)
    return np.dtype(np.int64)


class NarrowTable:
    """Collects the batches of one table, all of the same schema."""

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._pending: list[pa.RecordBatch] = []
        self._rows = 0
        self._columns: list[list[Any]] = [[] for _ in schema]

    def add(self, batch: pa.RecordBatch) -> None:
        """Append the batch's rows."""
        self._pending.append(batch)
        self._rows += batch.num_rows
        if self._rows >= _PART:
            self._narrow()

    def table(self) -> pa.Table:
        """The whole table, one chunk a column; the parts are given up on the way."""
        self._narrow()
        arrays = []
        for field, parts in zip(self._schema, self._columns, strict=True):
            if pa.types.is_boolean(field.type):
                arrays.append(pa.chunked_array(parts, field.type).combine_chunks())
            elif parts:
                arrays.append(pa.array(np.concatenate(parts)))
            else:
                arrays.append(pa.array([], field.type))
            parts.clear()
        pa.default_memory_pool().release_unused()
        return pa.table(arrays, names=self._schema.names)

    def _narrow(self) -> None:
        """Make one part of the pending batches: many small arrays would leave gaps in memory."""
        if not self._rows:
            return
        whole = pa.Table.from_batches(self._pending, self._schema)
        for field, values, parts in zip(self._schema, whole.columns, self._columns, strict=True):
            parts.append(_narrowed(field, values.combine_chunks()))
        self._pending.clear()
        self._rows = 0


def _narrowed(field: pa.Field, values: pa.Array) -> Any:
    if pa.types.is_boolean(field.type):
        return values
    plain: npt.NDArray[Any] = values.to_numpy()
    if field.name in _WIDE:
        return plain
    return plain.astype(narrowest(int(plain.min()), int(plain.max())))
