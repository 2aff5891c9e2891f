"""What became of each copied tensor, and where what is uploaded came from.

Built from the operation window: a piece of memory (a storage, with every other storage over the
same bytes) is written, read, handed out of PyTorch, overwritten and freed, in this order of time.
Work is bounded by the window; the whole run's copies are not walked.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from placeaudit.analyze.audit import D2H, H2D, Audit, Ints

__all__ = ["END", "Ending", "Fate", "Lineage", "Maker", "Origins", "itemsize"]

#: ``Operations.kind``.
COMPUTES, VIEWS, COPIES, EXPORTED = range(4)
#: ``Operations.use_access``.
_READS, _VIEWED, _WRITES, _OVERWRITES = range(4)
#: Operators with lists of optional tensors, which the profiler does not show: any index or mask
#: that lives then may be among them.
_INDEXING: Final = frozenset(
    {
        "index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index",
        "_unsafe_index_put", "_unsafe_masked_index", "_unsafe_masked_index_put_accumulate",
    }
)  # fmt: skip
_INDEX_TYPES: Final = frozenset({"int64", "int32", "int16", "int8", "uint8", "bool"})
#: A tensor of at most so many bytes beside another one is taken for a number.
SCALAR_BYTES: Final = 8
#: Operations walked back from an upload.
_DEEPEST: Final = 64

_SIZES: Final = {
    "float64": 8, "int64": 8, "complex64": 8, "complex128": 16, "uint64": 8, "float32": 4,
    "int32": 4, "uint32": 4, "float16": 2, "bfloat16": 2, "int16": 2, "uint16": 2, "int8": 1,
    "uint8": 1, "bool": 1,
}  # fmt: skip


def itemsize(dtype: str) -> int:
    """Bytes of one element, 0 where the type is not known."""
    return _SIZES.get(dtype, 1 if dtype.startswith("float8") else 0)


class Ending(enum.Enum):
    """How the life of a copied content ended."""

    DIED = "died"
    OVERWRITTEN = "overwritten"
    #: It outlived the window: what becomes of it is not known.
    ALIVE = "alive"


END: Final = (Ending.DIED, Ending.OVERWRITTEN)


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of what one copy brought, as far as the window saw it."""

    #: Index into ``Copies``.
    copy: int
    #: The memory that it filled.
    memory: int
    #: Bytes of the tensor that was copied.
    bytes: int
    #: Operations that read it, each with the bytes of the tensor (perhaps a view) that it took.
    reads: tuple[tuple[int, int], ...]
    #: Memory that left PyTorch: bytes of the tensor, -1 where only a pointer was taken.
    exports: tuple[int, ...]
    ending: Ending

    @property
    def unread(self) -> bool:
        """Nothing that the window can see looked at it."""
        return not self.reads and not self.exports


@dataclass(frozen=True, slots=True)
class Maker:
    """The operation that made a storage, and what it was made from."""

    operation: int
    #: Positions in the flat columns of what it takes, without numbers.
    uses: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Origins:
    """What an upload was computed from, on the host, inside the window."""

    #: Index into ``Copies`` of the upload.
    upload: int
    #: Downloads it derives from, as indices into ``Copies``.
    downloads: tuple[int, ...]
    #: Names of the operations in between that computed something, first to last.
    operations: tuple[str, ...]
    #: Tensors took part that no download brought.
    mixed: bool
    #: The values were changed where the window cannot see it: in an array over the same memory.
    in_array: bool = False


class Lineage:
    """Answers about the operation window of one audit; empty where there was none."""

    def __init__(self, audit: Audit) -> None:
        self._audit = audit
        operations = audit.operations
        self._same = self._canonical()
        self._memory: Ints = self._map(operations.use_storage)
        self._made: Ints = self._map(operations.made_storage)
        count = np.diff(operations.first_use)
        #: Operation of each use, and of each storage made.
        self._user = np.repeat(np.arange(len(operations)), count)
        self._author = np.repeat(np.arange(len(operations)), np.diff(operations.first_made))
        self._by_memory = np.argsort(self._memory, kind="stable")
        self._sorted = self._memory[self._by_memory]
        self._by_made = np.argsort(self._made, kind="stable")
        self._made_sorted = self._made[self._by_made]

    def _canonical(self) -> dict[int, int]:
        storages = self._audit.storages
        rows = np.flatnonzero(storages.same_as >= 0)
        return dict(
            zip(storages.storage[rows].tolist(), storages.same_as[rows].tolist(), strict=True)
        )

    def _map(self, ids: Ints) -> Ints:
        if not self._same:
            return ids
        return np.array([self._same.get(i, i) for i in ids.tolist()], dtype=np.int64)

    @cached_property
    def _died(self) -> dict[int, int]:
        storages = self._audit.storages
        return dict(zip(storages.storage.tolist(), storages.died_ns.tolist(), strict=True))

    @cached_property
    def complete(self) -> bool:
        """Whether nothing could read a tensor unseen: no other threads, no opaque regions."""
        windows = self._audit.windows
        opaque = any(note.rule == "PA902" for note in self._audit.notes)
        return not opaque and bool((windows.others == 0).all())

    def uses(self, memory: int, after: int = -1) -> Iterator[tuple[int, int]]:
        """Uses of ``memory`` by operations after ``after``: operation and position, by time."""
        begin = int(np.searchsorted(self._sorted, memory, "left"))
        end = int(np.searchsorted(self._sorted, memory, "right"))
        for position in self._by_memory[begin:end].tolist():
            operation = int(self._user[position])
            if operation > after:
                yield operation, position

    # --- what became of a copy -----------------------------------------------------------------

    @cached_property
    def fates(self) -> dict[int, Fate]:
        """By index into ``Copies``: what became of the copies inside the window."""
        operations = self._audit.operations
        found = {}
        for index in np.flatnonzero(operations.copy >= 0).tolist():
            fate = self._fate(index)
            if fate is not None:
                found[fate.copy] = fate
        return found

    def _fate(self, index: int) -> Fate | None:
        operations = self._audit.operations
        copy = int(operations.copy[index])
        first = int(operations.first_use[index])
        if operations.first_use[index + 1] - first != 2:  # noqa: PLR2004 (a scalar that is read)
            return None
        memory, size = int(self._memory[first]), int(operations.use_bytes[first])
        reads: list[tuple[int, int]] = []
        exports: list[int] = []
        for operation, position in self.uses(memory, index):
            access = int(operations.use_access[position])
            taken = int(operations.use_bytes[position])
            if operations.kind[operation] == EXPORTED:
                exports.append(taken)
            elif access == _OVERWRITES:
                if taken >= size:
                    return Fate(
                        copy, memory, size, tuple(reads), tuple(exports), Ending.OVERWRITTEN
                    )
            elif access in {_READS, _WRITES}:
                reads.append((operation, taken))
        died = self._died.get(memory, -1)
        if self._may_index(first, int(operations.time_ns[index]), died):
            exports.append(-1)
        ending = Ending.DIED if died >= 0 else Ending.ALIVE
        return Fate(copy, memory, size, tuple(reads), tuple(exports), ending)

    @cached_property
    def _indexings(self) -> tuple[Ints, Ints]:
        """Starts, and latest ends so far, of operations that may take an index unseen."""
        operations, audit = self._audit.operations, self._audit
        names = [i for i, text in enumerate(audit.strings) if text in _INDEXING]
        rows = np.flatnonzero(np.isin(operations.name, names))
        starts = operations.time_ns[rows]
        return starts, np.maximum.accumulate(starts + operations.duration_ns[rows])

    def _may_index(self, position: int, copied: int, died: int) -> bool:
        """Whether an indexing operation ran while this index or mask lived."""
        audit = self._audit
        if audit.text(int(audit.operations.use_dtype[position])) not in _INDEX_TYPES:
            return False
        starts, ends = self._indexings
        after = int(np.searchsorted(ends, copied, "right"))
        return after < len(starts) and (died < 0 or int(starts[after]) <= died)

    # --- where an upload came from -------------------------------------------------------------

    def maker(self, memory: int, before: int) -> Maker | None:
        """The operation that made ``memory`` before operation ``before``."""
        operations = self._audit.operations
        begin = int(np.searchsorted(self._made_sorted, memory, "left"))
        end = int(np.searchsorted(self._made_sorted, memory, "right"))
        authors = [int(self._author[p]) for p in self._by_made[begin:end].tolist()]
        earlier = [author for author in authors if author < before]
        if not earlier:
            return None
        author = max(earlier)
        return Maker(author, self._taken(author, operations.first_use))

    def _taken(self, operation: int, first: Ints) -> tuple[int, ...]:
        operations = self._audit.operations
        begin, end = int(first[operation]), int(first[operation + 1])
        return tuple(
            position
            for position in range(begin, end)
            if operations.use_bytes[position] > SCALAR_BYTES
            and operations.use_access[position] in {_READS, _WRITES}
        )

    def written(self, memory: int, after: int, before: int) -> list[tuple[int, int]]:
        """Operations strictly between that write ``memory``, with the position of that use."""
        operations = self._audit.operations
        return [
            (operation, position)
            for operation, position in self.uses(memory, after)
            if operation < before and operations.use_access[position] in {_WRITES, _OVERWRITES}
        ]

    def others(self, operation: int, memory: int) -> tuple[int, ...]:
        """Positions of the tensors, numbers left out, that it reads beside ``memory``."""
        taken = self._taken(operation, self._audit.operations.first_use)
        return tuple(position for position in taken if self._memory[position] != memory)

    def memory(self, position: int) -> int:
        """The memory at a position of the flat columns of uses."""
        return int(self._memory[position])

    def source(self, index: int) -> tuple[int, int]:
        """Memory and position of what the copy at operation ``index`` takes."""
        position = int(self._audit.operations.first_use[index]) + 1
        return int(self._memory[position]), position

    @cached_property
    def uploads(self) -> tuple[int, ...]:
        """Operations that are uploads."""
        operations, copies = self._audit.operations, self._audit.copies
        rows = np.flatnonzero(operations.copy >= 0)
        return tuple(rows[copies.direction[operations.copy[rows]] == H2D].tolist())

    @cached_property
    def origins(self) -> tuple[Origins, ...]:
        """Uploads of the window that derive, through host operations, from downloads."""
        found = [self._origins(index) for index in self.uploads]
        return tuple(origins for origins in found if origins is not None)

    def _origins(self, upload: int) -> Origins | None:
        audit, operations = self._audit, self._audit.operations
        downloads: dict[int, None] = {}
        between: list[int] = []
        mixed = handed_out = False
        memory, _ = self.source(upload)
        pending, seen = [(memory, upload)], {memory}
        while pending and len(between) < _DEEPEST:
            memory, before = pending.pop()
            start, taken = self._last_content(memory, before)
            handed_out |= self._handed_out(memory, start, before)
            if start >= 0 and operations.copy[start] >= 0:
                if audit.copies.direction[operations.copy[start]] == D2H:
                    downloads[int(operations.copy[start])] = None
                else:
                    mixed = True
            elif start < 0 or not taken:
                mixed = True
            elif operations.kind[start] == COMPUTES:
                between.append(start)
            for operation, _ in self.written(memory, start, before):
                if operations.kind[operation] == COMPUTES:
                    between.append(operation)
                    taken = (*taken, *self.others(operation, memory))
            for position in taken:
                other = self.memory(position)
                if other not in seen:
                    seen.add(other)
                    pending.append((other, before))
        if not downloads:
            return None
        names = tuple(audit.text(int(operations.name[o])) for o in sorted(set(between)))
        copy = int(operations.copy[upload])
        in_array = handed_out and not names and self._changed(copy, downloads)
        return Origins(copy, tuple(downloads), names, mixed, in_array)

    def _handed_out(self, memory: int, after: int, before: int) -> bool:
        """Whether ``memory`` left PyTorch between two operations: an array may write to it."""
        kinds = self._audit.operations.kind
        return any(
            operation < before and kinds[operation] == EXPORTED
            for operation, _ in self.uses(memory, after)
        )

    def _changed(self, upload: int, downloads: Iterable[int]) -> bool:
        """Whether no download brought just what is uploaded; False where contents are not known."""
        contents = self._audit.copies.content_hash
        known = [int(contents[copy]) for copy in (upload, *downloads)]
        return 0 not in known and known[0] not in known[1:]

    def _last_content(self, memory: int, before: int) -> tuple[int, tuple[int, ...]]:
        """The operation that gave ``memory`` its content, and what it was made from; -1 unknown."""
        operations = self._audit.operations
        made = self.maker(memory, before)
        start, taken = (made.operation, made.uses) if made else (-1, ())
        for operation, position in self.written(memory, start, before):
            if operations.use_access[position] == _OVERWRITES:
                start = operation
                # A copy between devices ends the walk: what it takes lives on the other side.
                crosses = operations.kind[operation] == COPIES
                taken = () if crosses else self.others(operation, memory)
        return start, taken
