"""The profiler's tree of events, read into operations and what happened to memory.

Composite operations stand as what they are made of; a copy that crosses devices is one operation,
whatever copies it makes inside.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import torch

from placeaudit.model import Phase
from placeaudit.record.torch.operators import READS, Operator, operator

__all__ = [
    "ALLOCATES", "COMPUTES", "COPIES", "ENDS", "EXPORTED", "FREES", "SEEN", "TAKES", "VIEWED",
    "Chunk", "Memory", "Operation", "Use", "Walk", "WindowCopy",
]  # fmt: skip

#: ``operations.kind``.
COMPUTES, VIEWED, COPIES, EXPORTED = 0, 1, 2, 3
#: What happens on the timeline, in the order in which it does at one time.
TAKES, ENDS, ALLOCATES, FREES, SEEN = range(5)

_ENGINE: Final = "autograd::engine::evaluate_function"
_CROSSING: Final = frozenset({"aten::copy_", "aten::_local_scalar_dense"})


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


class Memory:
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
class Use:
    """One tensor that an operation takes."""

    address: int
    size: int
    device: torch.device
    dtype: torch.dtype
    access: int
    memory: Memory | None = None


@dataclass(slots=True)
class Operation:
    """One operation: when, where, what it takes and what it made (addresses, then memory)."""

    start: int
    duration: int
    name: str
    thread: int
    phase: int
    sequence: int
    kind: int
    uses: list[Use]
    made: list[int]
    copy: WindowCopy | None = None
    outputs: list[Memory] = field(default_factory=list)


class Walk:
    """One pass over the tree of a chunk: its operations and what happens to memory."""

    def __init__(self, chunk: Chunk) -> None:
        self._chunk = chunk
        self._offset = chunk.offset_ns
        self.events = 0
        self.operations: list[Operation] = []
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
            events.append((operation.start, TAKES, operation))
            if operation.made:
                events.append((operation.start + operation.duration, ENDS, operation))
        for left in self._copies.values():
            events.extend((copy.time_ns, SEEN, copy) for copy in left)
        events.extend(self._exports())
        events.sort(key=lambda event: event[0])
        return events

    def _exports(self) -> Iterator[tuple[int, int, Any]]:
        cpu, byte = torch.device("cpu"), torch.uint8
        for time, address in self._chunk.exports:
            use = Use(address, -1, cpu, byte, READS)
            operation = Operation(time, 0, "export", 0, int(Phase.OTHER), -1, EXPORTED, [use], [])
            self.operations.append(operation)
            yield time, TAKES, operation

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
        if known.composite and not self._on_aliases(event, known):
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

    @staticmethod
    def _on_aliases(event: Any, known: Operator) -> bool:
        """Whether a simulated device computed it as a whole, from the host's side of its memory.

        Below such an operator (``lstm``) nothing takes the device tensors that it was given.
        """

        def on_device(one: Any, how: Operator) -> bool:
            return any(use.device.type != "cpu" for use in _uses(one.extra_fields.inputs, how))

        if not event.children or not on_device(event, known):
            return False
        pending, computed = deque(event.children), False
        while pending:
            child = pending.popleft()
            if not hasattr(child.extra_fields, "inputs"):
                continue
            computed = True
            if on_device(child, operator(child.name, child.overload_name)):
                return False
            pending.extend(child.children)
        return computed

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
    def _crosses(event: Any, uses: list[Use]) -> bool:
        if event.name == "aten::copy_":
            return len(uses) == 2 and uses[0].device != uses[1].device  # noqa: PLR2004
        return bool(uses) and uses[0].device.type != "cpu"

    def _memory_event(self, event: Any, extra: Any) -> int:
        size = getattr(extra, "alloc_size", 0)
        if size:
            time = event.start_time_ns + self._offset
            if size > 0:
                self._memory.append((time, ALLOCATES, (extra.ptr, size)))
            else:
                self._memory.append((time, FREES, extra.ptr))
        return int(size)

    def _add(  # noqa: PLR0917
        self,
        event: Any,
        extra: Any,
        known: Operator,
        phase: int,
        kind: int,
        uses: list[Use],
        made: list[int],
    ) -> None:
        start = event.start_time_ns + self._offset
        copy = self._match(known, uses) if kind == COPIES else None
        self.operations.append(
            Operation(
                start, event.duration_time_ns, known.name, event.start_tid, phase,
                extra.sequence_number, kind, uses, made, copy,
            )
        )  # fmt: skip

    def _match(self, known: Operator, uses: list[Use]) -> WindowCopy | None:
        key = (uses[1].address, uses[0].address) if known.name == "copy_" else (uses[0].address, 0)
        waiting = self._copies.get(key)
        return waiting.popleft() if waiting else None


def _uses(inputs: list[Any], known: Operator) -> list[Use]:
    access, default = known.access, known.default
    uses: list[Use] = []
    for position, value in enumerate(inputs):
        if value is None:
            continue
        tensors = value if isinstance(value, list) else (value,)
        how = access.get(position, default)
        uses.extend(_use(t, how) for t in tensors if hasattr(t, "storage_data_ptr"))
    return [use for use in uses if use.address]


def _use(tensor: Any, access: int) -> Use:
    size = tensor.dtype.itemsize
    for length in tensor.sizes:
        size *= length
    return Use(tensor.storage_data_ptr or 0, size, tensor.device, tensor.dtype, access)
