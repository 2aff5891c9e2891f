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
        self._columns: list[list[Any]] = [[] for _ in schema]

    def add(self, batch: pa.RecordBatch) -> None:
        """Append the batch's rows."""
        for field, values, column in zip(self._schema, batch.columns, self._columns, strict=True):
            column.append(values if pa.types.is_boolean(field.type) else _narrow(field, values))

    def table(self) -> pa.Table:
        """The whole table, one chunk a column; the parts are given up on the way."""
        arrays = []
        for field, parts in zip(self._schema, self._columns, strict=True):
            if pa.types.is_boolean(field.type):
                arrays.append(pa.chunked_array(parts, field.type).combine_chunks())
            elif parts:
                arrays.append(pa.array(np.concatenate(parts)))
            else:
                arrays.append(pa.array([], field.type))
            parts.clear()
        return pa.table(arrays, names=self._schema.names)


def _narrow(field: pa.Field, values: pa.Array) -> npt.NDArray[Any]:
    plain: npt.NDArray[Any] = values.to_numpy()
    if field.name in _WIDE or not len(plain):
        return plain
    return plain.astype(narrowest(int(plain.min()), int(plain.max())))
