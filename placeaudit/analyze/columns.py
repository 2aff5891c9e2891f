"""Merging the tables of several processes into one set of columns.

Interned ids, storage identities and rows of ``births`` are per process in a record; here they get
an offset so that they are unique over the run.  One column is merged at a time, so that the peak
memory is the result plus one column.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from placeaudit.analyze.audit import Ints

__all__ = ["Merged", "StringTable", "column", "look_up", "remap", "storage_offsets"]

Array = npt.NDArray[Any]


def column(table: pa.Table, name: str) -> Array:
    """A column as NumPy; booleans and integers keep their width."""
    values = table.column(name)
    if values.num_chunks == 1:
        return np.asarray(values.chunk(0).to_numpy(zero_copy_only=False))
    return np.asarray(values.combine_chunks().to_numpy(zero_copy_only=False))


def remap(ids: Array, table: Array) -> Array:
    """``table[ids]`` with -1 kept (and ids that are out of the table made -1)."""
    if not len(table):
        return np.full(len(ids), -1, dtype=np.int32)
    known = (ids >= 0) & (ids < len(table))
    if known.all():
        return np.asarray(table[ids])
    out = np.full(len(ids), -1, dtype=table.dtype)
    out[known] = table[ids[known]]
    return out


def look_up(keys: tuple[Array, Array], known: tuple[Array, Array], values: Array) -> Array:
    """For each pair in ``keys`` (time, thread) the value of the same pair in ``known``, or -1."""
    time, thread = keys
    out = np.full(len(time), -1, dtype=np.int32)
    if not len(values) or not len(out):
        return out
    order = np.argsort(known[0], kind="stable")
    times, threads, ordered = known[0][order], known[1][order], values[order]
    first = np.searchsorted(times, time)
    # Threads that did something in the same nanosecond stand side by side.
    for offset in range(int(np.unique(times, return_counts=True)[1].max())):
        at = np.minimum(first + offset, len(times) - 1)
        same = (times[at] == time) & (threads[at] == thread)
        out[same] = ordered[at][same]
    return out


class StringTable:
    """Interns text over all processes."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._ids: dict[str, int] = {}

    def add(self, text: str) -> int:
        """The id of ``text`` over the run."""
        found = self._ids.setdefault(text, len(self.texts))
        if found == len(self.texts):
            self.texts.append(text)
        return found

    def table(self, texts: Sequence[str]) -> npt.NDArray[np.int32]:
        """What maps one process's ids to the run's."""
        return np.array([self.add(text) for text in texts], dtype=np.int32)


class Merged:
    """One table of all processes, ordered by ``time`` (a column's name)."""

    def __init__(self, tables: Sequence[pa.Table], time: str) -> None:
        self._tables = tables
        self.lengths = [table.num_rows for table in tables]
        times = self._stack([column(table, time) for table in tables], np.dtype(np.int64))
        self._order: npt.NDArray[np.intp] | None = None
        if len(times) > 1 and bool((times[1:] < times[:-1]).any()):
            self._order = np.argsort(times, kind="stable")
            times = times[self._order]
        self.time: Ints = times

    def __len__(self) -> int:
        return len(self.time)

    def take(
        self,
        name: str,
        dtype: Any,
        change: Callable[[int, Array], Array] | None = None,
    ) -> Array:
        """A column over all processes; ``change(process, values)`` maps it first."""
        parts = [column(table, name) for table in self._tables]
        if change is not None:
            parts = [change(process, values) for process, values in enumerate(parts)]
        return self._sorted(self._stack(parts, np.dtype(dtype)))

    def derive(self, dtype: Any, make: Callable[[int], Array]) -> Array:
        """A column made per process by ``make(process)``, in the order of its rows."""
        parts = [make(process) for process in range(len(self._tables))]
        return self._sorted(self._stack(parts, np.dtype(dtype)))

    def process(self) -> npt.NDArray[np.int16]:
        """Which process each row came from."""
        return self.derive(
            np.int16, lambda process: np.full(self.lengths[process], process, dtype=np.int16)
        )

    @staticmethod
    def _stack(parts: Sequence[Array], dtype: np.dtype[Any]) -> Array:
        if len(parts) == 1:
            return parts[0].astype(dtype, copy=False)
        return np.concatenate([np.zeros(0, dtype=dtype), *parts]).astype(dtype, copy=False)

    def _sorted(self, values: Array) -> Array:
        return values if self._order is None else values[self._order]


def storage_offsets(tables: Sequence[tuple[Array, ...]]) -> list[int]:
    """What to add to each process's storage identities to make them unique over the run."""
    offsets: list[int] = []
    total = 0
    for columns in tables:
        offsets.append(total)
        total += 1 + max((int(values.max()) for values in columns if len(values)), default=-1)
    return offsets
