"""From the operations of a chunk to rows of ``operations`` and ``storages``.

The profiler knows memory by its address, which is reused; the recorder knows storages by number.
Here an address becomes a :class:`Memory`, from the event that allocated it to the one that freed
it, and a copy that both saw gives it the recorder's number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch

from placeaudit.record.torch.context import TorchContext
from placeaudit.record.torch.optree import (
    ALLOCATES,
    COPIES,
    ENDS,
    FREES,
    TAKES,
    Chunk,
    Memory,
    Operation,
    Use,
    Walk,
    WindowCopy,
)

__all__ = ["TreeReader"]

_Row = tuple[object, ...]


class TreeReader:
    """Converts chunks, in order; remembers which memory lives from one to the next."""

    def __init__(self, context: TorchContext, new_number: Callable[[], int]) -> None:
        self._context = context
        self._new_number = new_number
        self._live: dict[int, Memory] = {}
        self._operations = context.writer.rows("operations")
        self._storages = context.writer.rows("storages")
        self._devices: dict[torch.device, int] = {}
        self._threads: dict[int, int] = {}
        #: Rows written so far, and events of the largest tree.
        self.rows = 0
        self.most_events = 0

    def convert(self, chunk: Chunk) -> None:
        """Write the rows of ``chunk``."""
        if not chunk.follows:
            self.finish()
        walk = Walk(chunk)
        self.most_events = max(self.most_events, walk.events)
        timeline = walk.timeline()
        ended = self._play(timeline)
        self._write(walk.operations, ended)

    def finish(self) -> None:
        """The window has ended: what still lives outlived it."""
        for memory in self._live.values():
            self._storages.extend(_storage_rows(memory))
        self._live.clear()

    # --- identities ----------------------------------------------------------------------------

    def _play(self, timeline: list[tuple[int, int, Any]]) -> list[Memory]:
        """Go through the events by time; the memory that ended on the way."""
        live = self._live
        ended: list[Memory] = []
        for time, what, payload in timeline:
            if what == TAKES:
                for use in payload.uses:
                    use.memory = self._memory(use)
                if payload.copy is not None:
                    self._name(payload, ended, time)
            elif what == ALLOCATES:
                address, size = payload
                old = live.pop(address, None)
                if old is not None:
                    old.died = time
                    ended.append(old)
                live[address] = Memory(time, size, allocated=True)
            elif what == FREES:
                old = live.pop(payload, None)
                if old is not None:
                    old.died = time
                    ended.append(old)
            elif what == ENDS:
                payload.outputs = [live[a] for a in payload.made if a in live]
            else:  # the first sight of what a copy saw before the profiler did
                self._seen(payload, ended, time)
        return ended

    def _memory(self, use: Use) -> Memory:
        memory = self._live.get(use.address)
        if memory is None:
            memory = self._live[use.address] = Memory(-1, -1, allocated=False)
        if memory.dtype is None:
            memory.dtype, memory.device = use.dtype, use.device
        elif use.device.type != "cpu":
            memory.device = use.device
        return memory

    def _name(self, operation: Operation, ended: list[Memory], time: int) -> None:
        """A copy gives its two sides the recorder's numbers."""
        copy = operation.copy
        assert copy is not None
        for use in operation.uses:
            number = copy.source_storage if use.address == copy.source else copy.target_storage
            use.memory = self._numbered(use.address, use.memory, number, ended, time)

    def _seen(self, copy: WindowCopy, ended: list[Memory], time: int) -> None:
        for address, number in (
            (copy.source, copy.source_storage),
            (copy.target, copy.target_storage),
        ):
            if address:
                self._numbered(address, self._live.get(address), number, ended, time)

    def _numbered(
        self,
        address: int,
        memory: Memory | None,
        number: int,
        ended: list[Memory],
        time: int,
    ) -> Memory:
        if memory is None:
            memory = self._live[address] = Memory(-1, -1, allocated=False)
        if number < 0 or memory.number == number or number in memory.others:
            return memory
        if memory.number < 0:
            memory.number = number
        elif memory.allocated:
            memory.others.append(number)  # an array over PyTorch's own memory
        else:
            # Memory that PyTorch did not allocate comes and goes unseen: another storage at this
            # address is another array or file.
            fresh = self._live[address] = Memory(time, -1, allocated=False)
            fresh.number, fresh.dtype, fresh.device = number, memory.dtype, memory.device
            memory.died = time
            ended.append(memory)
            return fresh
        return memory

    # --- rows ----------------------------------------------------------------------------------

    def _write(self, operations: Iterable[Operation], ended: list[Memory]) -> None:
        for operation in operations:
            if operation.copy is not None:
                self._threads[operation.thread] = operation.copy.thread
        rows = self._operations
        for operation in operations:
            row = self._row(operation)
            if row is not None:
                rows.append(row)
                self.rows += 1
        for memory in ended:
            self._storages.extend(_storage_rows(memory))

    def _row(self, operation: Operation) -> _Row | None:
        uses = [u for u in operation.uses if u.memory is not None]
        if operation.kind != COPIES and any(
            u.device.type == "cpu" and u.memory.device is not None and u.memory.device.type != "cpu"  # type: ignore[union-attr]
            for u in uses
        ):
            return None  # a simulated kernel at work on its device's memory
        outputs = operation.outputs
        if not uses and not outputs:
            return None
        context = self._context
        thread = operation.thread
        return (
            operation.start,
            operation.duration,
            context.operation(operation.name),
            self._threads.get(thread, -thread),
            operation.phase,
            operation.sequence,
            operation.kind,
            [self._number(u.memory) for u in uses],
            [u.size for u in uses],
            [self._device(u.device) for u in uses],
            [context.dtype(u.dtype) for u in uses],
            [u.access for u in uses],
            [self._number(m) for m in outputs],
            [m.bytes for m in outputs],
            [self._device(m.device) if m.device is not None else -1 for m in outputs],
            [context.dtype(m.dtype) if m.dtype is not None else -1 for m in outputs],
            operation.copy.time_ns if operation.copy is not None else -1,
        )

    def _number(self, memory: Memory | None) -> int:
        assert memory is not None
        if memory.number < 0:
            memory.number = self._new_number()
        return memory.number

    def _device(self, device: torch.device) -> int:
        known = self._devices.get(device)
        if known is None:
            index = -1 if device.type == "cpu" else device.index or 0
            known = self._devices[device] = self._context.device(index)
        return known


def _storage_rows(memory: Memory) -> Iterator[_Row]:
    """The row of memory that some operation or copy named, then those of its other storages."""
    if memory.number < 0:
        return
    yield memory.number, -1, memory.bytes, memory.born, memory.died
    for other in memory.others:
        yield other, memory.number, memory.bytes, memory.born, memory.died
