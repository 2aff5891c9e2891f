"""The operation window of all processes in one set of columns.

What an operation takes and makes are lists of different lengths: they stand one after another in
flat columns, and ``first_use[i]`` to ``first_use[i + 1]`` are those of operation ``i``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa

from placeaudit.analyze.audit import Copies, Operations, Storages, Windows
from placeaudit.analyze.columns import Array, Merged, column
from placeaudit.store.reader import ProcessRecord

__all__ = ["list_values", "operations_of", "storages_of", "windows_of"]

#: Maps a process's ids to those of the run.
Change = Callable[[int, Array], Array]

_USES: Final = ("inputs", "input_bytes", "input_device", "input_dtype", "input_access")
_MADE: Final = ("outputs", "output_bytes", "output_device", "output_dtype")


def list_values(table: pa.Table, name: str) -> tuple[Array, Array]:
    """The lengths of a list column and all its values, one list after another."""
    chunks = table.column(name).combine_chunks()
    lists = chunks.chunks if isinstance(chunks, pa.ChunkedArray) else [chunks]
    lengths = [np.diff(part.offsets.to_numpy()) for part in lists if len(part)]
    values = [part.flatten().to_numpy(zero_copy_only=False) for part in lists if len(part)]
    empty = [np.zeros(0, dtype=np.int64)]
    return np.concatenate(empty + lengths), np.concatenate(empty + values)


class _Ragged:
    """Several list columns of equal lengths, over all processes, in the order of the rows."""

    def __init__(self, tables: Sequence[pa.Table], names: Sequence[str], order: Array) -> None:
        self._tables = tables
        parts = [list_values(table, names[0])[0] for table in tables]
        lengths = np.concatenate([np.zeros(0, dtype=np.int64), *parts])
        starts = np.concatenate([[0], np.cumsum(lengths)])
        self.first = np.concatenate([[0], np.cumsum(lengths[order])]).astype(np.int64)
        begin, size = starts[:-1][order], lengths[order]
        within = np.arange(int(size.sum())) - np.repeat(self.first[:-1], size)
        self._take = np.repeat(begin, size) + within

    def values(self, name: str, dtype: Any, change: Change | None = None) -> Array:
        """All values of a column."""
        parts = [list_values(table, name)[1] for table in self._tables]
        if change is not None:
            parts = [change(process, part) for process, part in enumerate(parts)]
        joined = np.concatenate([np.zeros(0, dtype=dtype), *parts]).astype(dtype)
        return joined[self._take]


def operations_of(
    records: Sequence[ProcessRecord], copies: Copies, text: Change, storage: Change
) -> Operations:
    """Every operation of the window, by time."""
    tables = [record.tables["operations"] for record in records]
    merged = Merged(tables, "time_ns")
    order = np.argsort(
        np.concatenate([np.zeros(0, np.int64), *(column(t, "time_ns") for t in tables)]),
        kind="stable",
    )
    uses, made = _Ragged(tables, _USES, order), _Ragged(tables, _MADE, order)
    process = merged.process()
    return Operations(
        time_ns=merged.time,
        duration_ns=merged.take("duration_ns", np.int64),
        name=merged.take("name", np.int32, text),
        kind=merged.take("kind", np.int8),
        phase=merged.take("phase", np.int8),
        process=process,
        copy=_copy_rows(copies, merged.take("copy_ns", np.int64), process),
        first_use=uses.first,
        use_storage=uses.values("inputs", np.int64, storage),
        use_bytes=uses.values("input_bytes", np.int64),
        use_device=uses.values("input_device", np.int32, text),
        use_dtype=uses.values("input_dtype", np.int32, text),
        use_access=uses.values("input_access", np.int8),
        first_made=made.first,
        made_storage=made.values("outputs", np.int64, storage),
        made_bytes=made.values("output_bytes", np.int64),
        made_device=made.values("output_device", np.int32, text),
        made_dtype=made.values("output_dtype", np.int32, text),
    )


def _copy_rows(copies: Copies, copy_ns: Array, process: Array) -> Array:
    """The row in ``copies`` of each operation that is one."""
    rows = np.full(len(copy_ns), -1, dtype=np.int32)
    for index in np.unique(process[copy_ns >= 0]).tolist():
        mine = np.flatnonzero(copies.process == index)
        wanted = np.flatnonzero((process == index) & (copy_ns >= 0))
        if not len(mine):
            continue
        at = np.searchsorted(copies.time_ns[mine], copy_ns[wanted])
        at = np.minimum(at, len(mine) - 1)
        same = copies.time_ns[mine[at]] == copy_ns[wanted]
        rows[wanted[same]] = mine[at[same]]
    return rows


def storages_of(records: Sequence[ProcessRecord], storage: Change) -> Storages:
    """What is known of the storages in the window."""
    merged = Merged([record.tables["storages"] for record in records], "born_ns")
    return Storages(
        storage=merged.take("storage", np.int64, storage),
        same_as=merged.take("same_as", np.int64, storage),
        bytes=merged.take("bytes", np.int64),
        born_ns=merged.time,
        died_ns=merged.take("died_ns", np.int64),
    )


def windows_of(records: Sequence[ProcessRecord], text: Change) -> Windows:
    """When operations were collected."""
    merged = Merged([record.tables["windows"] for record in records], "start_ns")
    return Windows(
        start_ns=merged.time,
        end_ns=merged.take("end_ns", np.int64),
        name=merged.take("name", np.int32, text),
        others=merged.take("others", np.int32),
        process=merged.process(),
    )
