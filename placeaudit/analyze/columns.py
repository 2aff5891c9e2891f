"""Merging the tables of several processes into one set of columns.

Interned ids, storage identities and rows of ``births`` are per process in a record; here they get
an offset so that they are unique over the run.  One column is merged at a time, so that the peak
memory is the result plus one column.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from placeaudit.analyze.audit import Ints
from placeaudit.store.narrow import narrowest

__all__ = [
    "Merged", "StringTable", "column", "distinct", "gather", "look_up", "parts", "remap", "shifted",
    "storage_offsets",
]  # fmt: skip

Array = npt.NDArray[Any]

#: Rows that are worked on at a time where intermediate values are wider than their result.
_PART: Final = 1 << 20


def column(table: pa.Table, name: str) -> Array:
    """A column as NumPy; booleans and integers keep their width."""
    values = table.column(name)
    if values.num_chunks == 1:
        return np.asarray(values.chunk(0).to_numpy(zero_copy_only=False))
    return np.asarray(values.combine_chunks().to_numpy(zero_copy_only=False))


def distinct(values: Array) -> Array:
    """The different values in ascending order; much faster than sorting where they are few."""
    found = pc.unique(pa.array(np.ascontiguousarray(values)))
    return np.asarray(np.sort(found.to_numpy(zero_copy_only=False)))


def parts(length: int) -> Iterator[slice]:
    """Slices that cover ``length`` rows, each short enough for wide intermediate values."""
    return (slice(begin, begin + _PART) for begin in range(0, length, _PART))


def gather(table: Array, ids: Array) -> Array:
    """``table[ids]``, a part at a time: NumPy widens the ids for it."""
    out = np.empty(len(ids), dtype=table.dtype)
    for part in parts(len(ids)):
        out[part] = table[ids[part]]
    return out


def remap(ids: Array, table: Array) -> Array:
    """``table[ids]`` with -1 kept (and ids that are out of the table made -1)."""
    if not len(ids):
        return np.zeros(0, dtype=table.dtype)
    low, high = int(ids.min()), int(ids.max())
    if not len(table) or high < 0:
        return np.full(len(ids), -1, dtype=np.int8)
    if low >= -1 and high < len(table):
        if np.array_equal(table[: high + 1], np.arange(high + 1)):
            return ids  # the first process's own ids are the run's
        # One row more than the table: the one that -1 stands for.
        return gather(np.append(table, table.dtype.type(-1)), ids)
    known = (ids >= 0) & (ids < len(table))
    return gather(np.append(table, table.dtype.type(-1)), np.where(known, ids, -1))


def look_up(keys: tuple[Array, Array], known: tuple[Array, Array], values: Array) -> Array:
    """For each pair in ``keys`` (time, thread) the value of the same pair in ``known``, or -1."""
    time, thread = keys
    if not len(values) or not len(time):
        return np.full(len(time), -1, dtype=np.int8)
    out = np.full(len(time), -1, dtype=np.int32)
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

    def table(self, texts: Sequence[str]) -> Array:
        """What maps one process's ids to the run's."""
        ids = [self.add(text) for text in texts]
        return np.array(ids, dtype=narrowest(-1, max(ids, default=0)))


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
        """A column over all processes; ``change(process, values)`` maps it first.

        ``dtype`` says what kind of values it holds; integers may be narrower.
        """
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
            np.int16,
            lambda process: np.full(
                self.lengths[process], process, dtype=narrowest(0, len(self.lengths))
            ),
        )

    @staticmethod
    def _stack(parts: Sequence[Array], dtype: np.dtype[Any]) -> Array:
        if len(parts) == 1:
            return _as(parts[0], dtype)
        return _as(np.concatenate(parts), dtype) if parts else np.zeros(0, dtype=dtype)

    def _sorted(self, values: Array) -> Array:
        return values if self._order is None else values[self._order]


def shifted(ids: Array, offset: int) -> Array:
    """``ids + offset`` with what is below 0 ("none") made -1."""
    if not offset or not len(ids):
        return ids
    out: Array = ids.astype(narrowest(-1, int(ids.max()) + offset))
    out[ids < 0] = -1
    out[ids >= 0] += offset
    return out


def _as(values: Array, dtype: np.dtype[Any]) -> Array:
    """``values`` as they are where they are of the same kind and no wider."""
    if values.dtype.kind == dtype.kind and values.dtype.itemsize <= dtype.itemsize:
        return values
    return values.astype(dtype)


def storage_offsets(tables: Sequence[tuple[Array, ...]]) -> list[int]:
    """What to add to each process's storage identities to make them unique over the run."""
    offsets: list[int] = []
    total = 0
    for columns in tables:
        offsets.append(total)
        total += 1 + max((int(values.max()) for values in columns if len(values)), default=-1)
    return offsets
