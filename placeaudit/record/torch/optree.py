"""From the profiler's tree of events to rows of ``operations`` and ``storages``.

The profiler knows memory by its address, which is reused; the recorder knows storages by number.
Here an address becomes a :class:`_Memory`, from the event that allocated it to the one that freed
it, and a copy that both saw gives it the recorder's number.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import torch

from placeaudit.model import Phase
from placeaudit.record.torch.context import TorchContext
from placeaudit.record.torch.operators import READS, Operator, operator

__all__ = ["COMPUTES", "COPIES", "EXPORTED", "VIEWED", "Chunk", "TreeReader", "WindowCopy"]

#: ``operations.kind``.
COMPUTES, VIEWED, COPIES, EXPORTED = 0, 1, 2, 3

_ENGINE: Final = "autograd::engine::evaluate_function"
_CROSSING: Final = frozenset({"aten::copy_", "aten::_local_scalar_dense"})
_Row = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class WindowCopy:
    """A copy that the recorder saw inside the window."""

    time_ns: int
    thread: int
    #: Where the memory of either side lies; 0 for a scalar that is read.
    source: int
    target: int
    source_storage: int
    target_storage: int


@dataclass(slots=True)
class Chunk:
    """A stretch of the window between one start and one stop of the profiler."""

    start_ns: int
    #: ``perf_counter_ns`` minus the profiler's clock.
    offset_ns: int
    #: Native identifier of the thread that started it.
    thread: int = -1
    copies: list[WindowCopy] = field(default_factory=list)
    #: (perf_counter_ns, address) of memory that was handed out of PyTorch.
    exports: list[tuple[int, int]] = field(default_factory=list)
    end_ns: int = 0
    result: Any = None
    label: str = ""
    #: Holds the first operations, which count only where no window of steps follows.
    opening: bool = False
    #: Whether what was allocated before continues from the chunk before.
    follows: bool = False
    #: Python threads beside the main one that might run operations unseen.
    others: int = 0


class _Memory:
    """A piece of memory from its allocation to its release."""

    __slots__ = ("allocated", "born", "bytes", "device", "died", "dtype", "number", "others")

    def __init__(self, born: int, size: int, *, allocated: bool) -> None:
        self.number = -1
        self.born = born
        self.died = -1
        self.bytes = size
        self.allocated = allocated
        self.device: torch.device | None = None
        self.dtype: torch.dtype | None = None
        #: Further storages over the same memory.
        self.others: list[int] = []


@dataclass(slots=True)
class _Use:
    """One tensor that an operation takes."""

    address: int
    size: int
    device: torch.device
    dtype: torch.dtype
    access: int
    memory: _Memory | None = None


@dataclass(slots=True)
class _Operation:
    start: int
    duration: int
    name: str
    thread: int
    phase: int
    sequence: int
    kind: int
    uses: list[_Use]
    made: list[int]
    copy: WindowCopy | None = None
    outputs: list[_Memory] = field(default_factory=list)


class TreeReader:
    """Converts chunks, in order; remembers which memory lives from one to the next."""

    def __init__(self, context: TorchContext, new_number: Callable[[], int]) -> None:
        self._context = context
        self._new_number = new_number
        self._live: dict[int, _Memory] = {}
        self._operations = context.writer.rows("operations")
        self._storages = context.writer.rows("storages")
        self._devices: dict[torch.device, int] = {}
        self._threads: dict[int, int] = {}
        #: Rows written so far, and events of the latest chunk's tree.
        self.rows = 0
        self.events = 0

    def convert(self, chunk: Chunk) -> None:
        """Write the rows of ``chunk``."""
        if not chunk.follows:
            self.finish()
        walk = _Walk(chunk)
        self.events = walk.events
        timeline = walk.timeline()
        ended = self._play(timeline)
        self._write(walk.operations, ended)

    def finish(self) -> None:
        """The window has ended: what still lives outlived it."""
        for memory in self._live.values():
            self._storages.extend(_storage_rows(memory))
        self._live.clear()

    # --- identities ----------------------------------------------------------------------------

    def _play(self, timeline: list[tuple[int, int, Any]]) -> list[_Memory]:
        """Go through the events by time; the memory that ended on the way."""
        live = self._live
        ended: list[_Memory] = []
        for time, what, payload in timeline:
            if what == _TAKES:
                for use in payload.uses:
                    use.memory = self._memory(use)
                if payload.copy is not None:
                    self._name(payload, ended, time)
            elif what == _ALLOCATES:
                address, size = payload
                old = live.pop(address, None)
                if old is not None:
                    old.died = time
                    ended.append(old)
                live[address] = _Memory(time, size, allocated=True)
            elif what == _FREES:
                old = live.pop(payload, None)
                if old is not None:
                    old.died = time
                    ended.append(old)
            elif what == _ENDS:
                payload.outputs = [live[a] for a in payload.made if a in live]
            else:  # the first sight of what a copy saw before the profiler did
                self._seen(payload, ended, time)
        return ended

    def _memory(self, use: _Use) -> _Memory:
        memory = self._live.get(use.address)
        if memory is None:
            memory = self._live[use.address] = _Memory(-1, -1, allocated=False)
        if memory.dtype is None:
            memory.dtype, memory.device = use.dtype, use.device
        elif use.device.type != "cpu":
            memory.device = use.device
        return memory

    def _name(self, operation: _Operation, ended: list[_Memory], time: int) -> None:
        """A copy gives its two sides the recorder's numbers."""
        copy = operation.copy
        assert copy is not None
        for use in operation.uses:
            number = copy.source_storage if use.address == copy.source else copy.target_storage
            use.memory = self._numbered(use.address, use.memory, number, ended, time)

    def _seen(self, copy: WindowCopy, ended: list[_Memory], time: int) -> None:
        for address, number in (
            (copy.source, copy.source_storage),
            (copy.target, copy.target_storage),
        ):
            if address:
                self._numbered(address, self._live.get(address), number, ended, time)

    def _numbered(
        self,
        address: int,
        memory: _Memory | None,
        number: int,
        ended: list[_Memory],
        time: int,
    ) -> _Memory:
        if memory is None:
            memory = self._live[address] = _Memory(-1, -1, allocated=False)
        if number < 0 or memory.number == number or number in memory.others:
            return memory
        if memory.number < 0:
            memory.number = number
        elif memory.allocated:
            memory.others.append(number)  # an array over PyTorch's own memory
        else:
            # Memory that PyTorch did not allocate comes and goes unseen: another storage at this
            # address is another array or file.
            fresh = self._live[address] = _Memory(time, -1, allocated=False)
            fresh.number, fresh.dtype, fresh.device = number, memory.dtype, memory.device
            memory.died = time
            ended.append(memory)
            return fresh
        return memory

    # --- rows ----------------------------------------------------------------------------------

    def _write(self, operations: Iterable[_Operation], ended: list[_Memory]) -> None:
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

    def _row(self, operation: _Operation) -> _Row | None:
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

    def _number(self, memory: _Memory | None) -> int:
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


def _storage_rows(memory: _Memory) -> Iterator[_Row]:
    """The row of memory that some operation or copy named, then those of its other storages."""
    if memory.number < 0:
        return
    yield memory.number, -1, memory.bytes, memory.born, memory.died
    for other in memory.others:
        yield other, memory.number, memory.bytes, memory.born, memory.died


# --- the tree ----------------------------------------------------------------------------------

_TAKES, _ENDS, _ALLOCATES, _FREES, _SEEN = range(5)


class _Walk:
    """One pass over the tree of a chunk: its operations and what happens to memory."""

    def __init__(self, chunk: Chunk) -> None:
        self._chunk = chunk
        self._offset = chunk.offset_ns
        self.events = 0
        self.operations: list[_Operation] = []
        self._memory: list[tuple[int, int, Any]] = []
        self._copies: dict[tuple[int, int], deque[WindowCopy]] = defaultdict(deque)
        for copy in chunk.copies:
            self._copies[copy.source, copy.target].append(copy)
        for event in chunk.result.experimental_event_tree():
            self._visit(event, int(Phase.OTHER))

    def timeline(self) -> list[tuple[int, int, Any]]:
        """What happened, by time: tensors taken, results made, memory allocated and freed."""
        events = self._memory
        for operation in self.operations:
            events.append((operation.start, _TAKES, operation))
            if operation.made:
                events.append((operation.start + operation.duration, _ENDS, operation))
        for left in self._copies.values():
            events.extend((copy.time_ns, _SEEN, copy) for copy in left)
        events.extend(self._exports())
        events.sort(key=lambda event: event[0])
        return events

    def _exports(self) -> Iterator[tuple[int, int, Any]]:
        cpu, byte = torch.device("cpu"), torch.uint8
        for time, address in self._chunk.exports:
            use = _Use(address, -1, cpu, byte, READS)
            operation = _Operation(time, 0, "export", 0, int(Phase.OTHER), -1, EXPORTED, [use], [])
            self.operations.append(operation)
            yield time, _TAKES, operation

    def _visit(self, event: Any, phase: int) -> bool:
        """Record ``event`` or what it is made of; whether anything was."""
        self.events += 1
        extra = event.extra_fields
        inputs = getattr(extra, "inputs", None)
        if inputs is None:
            self._memory_event(event, extra)
            return False
        name = event.name
        if name.startswith(_ENGINE):
            phase = int(Phase.BACKWARD)
        known = operator(name, event.overload_name)
        if known.composite:
            found = False
            for child in event.children:
                found |= self._visit(child, phase)
            if found or (known.view and not known.exports) or name.startswith(_ENGINE):
                return found
            uses = _uses(inputs, known)
            if not uses:
                return False
            kind = EXPORTED if known.exports else COMPUTES
            if kind == EXPORTED and uses[0].device.type != "cpu":
                return False
            self._add(event, extra, known, phase, kind, uses, [])
            return True
        return self._leaf(event, extra, known, phase)

    def _leaf(self, event: Any, extra: Any, known: Operator, phase: int) -> bool:
        uses = _uses(extra.inputs, known)
        if event.name in _CROSSING and self._crosses(event, uses):
            # Converting and strided copies copy once more inside: it is one copy.
            self._inside(event, phase, copies=False)
            self._add(event, extra, known, phase, COPIES, uses, [])
            return True
        made = self._inside(event, phase)
        if made is None:  # a conversion that crosses: the copy inside says it all
            return True
        if not uses and not made:
            return False
        kind = VIEWED if known.view else COMPUTES
        if known.name.startswith("empty"):
            return False
        self._add(event, extra, known, phase, kind, uses, made)
        return True

    def _inside(self, event: Any, phase: int, *, copies: bool = True) -> list[int] | None:
        """What ``event`` allocated and left alive; None for ``_to_copy`` that crosses devices."""
        made: dict[int, None] = {}
        crossed = False
        pending = deque(event.children)
        while pending:
            child = pending.popleft()
            self.events += 1
            extra = child.extra_fields
            if not hasattr(extra, "inputs"):
                size = self._memory_event(child, extra)
                if size > 0:
                    made[extra.ptr] = None
                elif size < 0:
                    made.pop(extra.ptr, None)
                continue
            if copies and child.name in _CROSSING:
                known = operator(child.name, child.overload_name)
                uses = _uses(extra.inputs, known)
                if self._crosses(child, uses):
                    crossed = True
                    self._add(child, extra, known, phase, COPIES, uses, [])
                    self._inside(child, phase, copies=False)
                    continue
            pending.extend(child.children)
        if crossed and event.name == "aten::_to_copy":
            return None
        return list(made)

    @staticmethod
    def _crosses(event: Any, uses: list[_Use]) -> bool:
        if event.name == "aten::copy_":
            return len(uses) == 2 and uses[0].device != uses[1].device  # noqa: PLR2004
        return bool(uses) and uses[0].device.type != "cpu"

    def _memory_event(self, event: Any, extra: Any) -> int:
        size = getattr(extra, "alloc_size", 0)
        if size:
            time = event.start_time_ns + self._offset
            if size > 0:
                self._memory.append((time, _ALLOCATES, (extra.ptr, size)))
            else:
                self._memory.append((time, _FREES, extra.ptr))
        return int(size)

    def _add(  # noqa: PLR0917
        self,
        event: Any,
        extra: Any,
        known: Operator,
        phase: int,
        kind: int,
        uses: list[_Use],
        made: list[int],
    ) -> None:
        start = event.start_time_ns + self._offset
        copy = self._match(known, uses) if kind == COPIES else None
        self.operations.append(
            _Operation(
                start, event.duration_time_ns, known.name, event.start_tid, phase,
                extra.sequence_number, kind, uses, made, copy,
            )
        )  # fmt: skip

    def _match(self, known: Operator, uses: list[_Use]) -> WindowCopy | None:
        key = (uses[1].address, uses[0].address) if known.name == "copy_" else (uses[0].address, 0)
        waiting = self._copies.get(key)
        return waiting.popleft() if waiting else None


def _uses(inputs: list[Any], known: Operator) -> list[_Use]:
    access, default = known.access, known.default
    uses: list[_Use] = []
    for position, value in enumerate(inputs):
        if value is None:
            continue
        tensors = value if isinstance(value, list) else (value,)
        how = access.get(position, default)
        uses.extend(_use(t, how) for t in tensors if hasattr(t, "storage_data_ptr"))
    return [use for use in uses if use.address]


def _use(tensor: Any, access: int) -> _Use:
    size = tensor.dtype.itemsize
    for length in tensor.sizes:
        size *= length
    return _Use(tensor.storage_data_ptr or 0, size, tensor.device, tensor.dtype, access)
