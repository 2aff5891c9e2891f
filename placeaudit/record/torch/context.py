"""What the torch sources share: per-thread state, interned names, and where an event happened."""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import TYPE_CHECKING, Any, Final

import torch

from placeaudit.model import Phase
from placeaudit.record.clock import now_ns
from placeaudit.record.content import HeldDownloads, StorageTable
from placeaudit.record.guard import Place, Scope
from placeaudit.record.sites import Sites
from placeaudit.record.torch.versions import forget_in_thread, keep_in_thread
from placeaudit.store.schema import TABLES
from placeaudit.store.writer import WAKE_ROWS, RecordWriter

if TYPE_CHECKING:
    from placeaudit.record.torch.operations import OperationWindow

__all__ = [
    "BACKWARD_KEY", "DEPTH", "BackwardPass", "ThreadState", "TorchContext", "Where",
    "current_pass", "enter_pass", "is_tracing", "leave_pass",
]  # fmt: skip

#: Under this name the engine's threads find the pass they work for.
BACKWARD_KEY: Final = "placeaudit"
#: Forward sites kept per thread for the backward pass; older ones fall to the backward() call.
MAX_FORWARD_SITES: Final = 8_192
#: Interned shapes kept at one time (programs with ever new shapes).
_MAX_SHAPES: Final = 4096
#: Sequence number of nodes that no forward call made (gradient accumulation).
_NO_SEQUENCE: Final = (1 << 64) - 1
#: Nodes whose forward looked up an index that needs no gradient itself, and whose backward looks
#: it up again.
_INDEXING: Final = ("Index", "Mask", "Put", "Take", "Scatter", "Gather")

#: Whether ``torch.jit.trace`` records in this thread: what we ask a tensor then, its size for one,
#: would become part of the traced graph.
is_tracing: Final[Callable[[], Any]] = torch._C._get_tracing_state

#: stack, thread, phase, module, backward: the last columns of ``copies`` and ``waits``.
Where = tuple[int, int, int, int, int]


@dataclass(slots=True, eq=False)
class BackwardPass:
    """One call of the autograd engine: its call stack and the thread that made it."""

    #: -1 where nothing records.
    stack: int
    caller: ThreadState | None
    #: The guard or allowance in force at the call, and what guards know of the forward pass.
    scope: Scope | None
    guarded: dict[int, tuple[Place, str]]


def current_pass() -> BackwardPass | None:
    """The engine call that this thread works for."""
    if not torch._C._is_key_in_tls(BACKWARD_KEY):
        return None
    found = torch._C._get_obj_in_tls(BACKWARD_KEY)
    return found if isinstance(found, BackwardPass) else None


def enter_pass(current: BackwardPass) -> None:
    """This thread makes an engine call; the engine's threads find it too."""
    keep_in_thread(BACKWARD_KEY, current)


def leave_pass(outer: BackwardPass | None) -> None:
    """This thread's engine call is over; ``outer`` is the one it was made in."""
    if outer is None:
        forget_in_thread(BACKWARD_KEY)
    else:
        keep_in_thread(BACKWARD_KEY, outer)


class _Depth(threading.local):
    """How deep in waiting operations a thread is: what happens inside is part of the outer one."""

    waiting = 0


DEPTH: Final = _Depth()


class ThreadState:
    """What the recorder knows about one thread."""

    __slots__ = (
        "__weakref__", "forward_sites", "inner", "modules", "moving", "phase", "thread",
    )  # fmt: skip

    def __init__(self) -> None:
        self.thread = threading.get_native_id()
        self.phase = int(Phase.OTHER)
        #: Modules whose forward runs, outermost first.
        self.modules: list[torch.nn.Module] = []
        #: Set while a copy runs: [bytes, waits] of the copies it makes itself.
        self.inner: list[int] | None = None
        #: Depth of Module._apply.
        self.moving = 0
        #: Sequence number of a node -> (stack, whether the copy itself is part of the graph).
        self.forward_sites: dict[int, tuple[int, bool]] = {}

    def remember(self, sequence: int, stack: int, *, in_graph: bool) -> None:
        """Keep the forward site of the node with this sequence number.

        Of several events since the node was made the first is its own, unless a later one is
        itself part of the graph.
        """
        sites = self.forward_sites
        known = sites.get(sequence)
        if known is not None and (known[1] or not in_graph):
            return
        sites[sequence] = (stack, in_graph)
        if len(sites) > MAX_FORWARD_SITES:
            for old in list(sites)[: MAX_FORWARD_SITES // 2]:
                del sites[old]


class TorchContext:
    """One per session and process: the tables, the interned names and the threads' states."""

    def __init__(self, writer: RecordWriter, sites: Sites) -> None:
        self.writer = writer
        self.sites = sites
        self.storages = StorageTable()
        self.copies = writer.rows("copies")
        self.waits = writer.rows("waits")
        self.spans = writer.rows("spans")
        self.calls = writer.rows("calls")
        column = TABLES["copies"].names.index("content_hash")
        self.held = HeldDownloads(self.storages, self.copies, column)
        #: Type of the accelerator whose events are recorded: "cuda", "xpu", "mps".
        self.device_type = "cuda"
        #: The code of the engine's wrapper: frames inside it run in backward.
        self.engine_code: CodeType | None = None
        #: Modules moved so far: a census taken before may be out of date.
        self.moves = 0
        #: The operation window while it has something to collect.
        self.window: OperationWindow | None = None
        self._failed = False
        self._begin()
        writer.before_flush.append(lambda: self.held.expire(now_ns()))

    def _begin(self) -> None:
        self._local = threading.local()
        self._states: list[weakref.ref[ThreadState]] = []
        self._devices: dict[int, int] = {}
        self._dtypes: dict[torch.dtype, int] = {}
        self._shapes: dict[torch.Size, int] = {}
        self._operations: dict[str, int] = {}
        self._module_names: weakref.WeakKeyDictionary[torch.nn.Module, dict[int, int]] = (
            weakref.WeakKeyDictionary()
        )
        self._owners: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
        self._next_owner = 0
        self._next_birth = 0

    def after_fork(self) -> None:
        """In a forked child: interned numbers, threads and held rows are the parent's."""
        self.held.forget()
        self.storages.after_fork()
        self._begin()

    def state(self) -> ThreadState:
        """The calling thread's state."""
        try:
            found: ThreadState = self._local.state
        except AttributeError:
            found = self._local.state = ThreadState()
            living = [reference for reference in self._states if reference() is not None]
            self._states = [*living, weakref.ref(found)]
        return found

    def failed(self, error: BaseException) -> None:
        """A recorder failed inside the program: say so once, let the program go on."""
        if not self._failed:
            self._failed = True
            self.writer.note(
                "PA903", f"recording failed here and may be incomplete: {error!r}", self.here()
            )

    def here(self) -> int:
        """The stack of the caller's caller, for notes."""
        try:
            return self.sites.capture(sys._getframe(2))
        except Exception:  # noqa: BLE001  (a note without a place is better than none)
            return -1

    def end(self) -> None:
        """Give out what is held back, and let go of every storage."""
        self.held.release()
        self.storages.clear()

    def copies_seen(self) -> bool:
        """Whether any copy was recorded: its devices were interned."""
        return bool(self._devices)

    def mark_step(self, *, written: bool) -> None:
        """The program says that a step ends here; ``written``: the record holds it already."""
        if not written:
            self.add_span("step", "step", -1, now_ns())
        if self.window is not None:
            self.window.step_ended("mark")

    def add_copy(self, row: tuple[object, ...]) -> None:
        """Append a row of ``copies``."""
        rows = self.copies
        rows.append(row)
        if len(rows) >= WAKE_ROWS:
            self.writer.pressure(len(rows))

    def add_wait(self, row: tuple[object, ...]) -> None:
        """Append a row of ``waits``."""
        rows = self.waits
        rows.append(row)
        if len(rows) >= WAKE_ROWS:
            self.writer.pressure(len(rows))

    def allowed(self, time_ns: int, thread: int, reason: str) -> None:
        """Say that the event of this thread at this time ran in ``placeaudit.allow(reason)``."""
        self.writer.rows("allowed").append((time_ns, thread, self.string(reason)))

    def add_span(self, kind: str, name: str, owner: int, start_ns: int) -> None:
        """Append a row of ``spans`` that ends now."""
        rows = self.spans
        rows.append(
            (self.string(kind), self.string(name), owner, start_ns, now_ns(), self.state().thread)
        )
        if len(rows) >= WAKE_ROWS:
            self.writer.pressure(len(rows))

    def string(self, text: str) -> int:
        """The interned number of ``text``."""
        return self.writer.string(text)

    def device(self, index: int) -> int:
        """The interned name of a device: ``Tensor.get_device()``, -1 for the host."""
        known = self._devices.get(index)
        if known is None:
            name = "cpu" if index < 0 else f"{self.device_type}:{index}"
            known = self._devices[index] = self.string(name)
        return known

    def dtype(self, dtype: torch.dtype) -> int:
        """The interned name of an element type, without "torch."."""
        known = self._dtypes.get(dtype)
        if known is None:
            known = self._dtypes[dtype] = self.string(str(dtype).removeprefix("torch."))
        return known

    def shape(self, shape: torch.Size) -> int:
        """The interned text of a shape."""
        known = self._shapes.get(shape)
        if known is None:
            if len(self._shapes) >= _MAX_SHAPES:
                self._shapes.clear()
            known = self._shapes[shape] = self.string("x".join(map(str, shape)))
        return known

    def operation(self, name: str) -> int:
        """The interned name of an operator."""
        known = self._operations.get(name)
        if known is None:
            known = self._operations[name] = self.string(name)
        return known

    def waited(self, state: ThreadState, device: int) -> None:
        """The thread has waited for ``device`` (-1: all): its unfinished downloads are there."""
        if self.held:
            self.held.finished(state.thread, device)

    def owner(self, thing: object) -> int:
        """A number for an optimizer, module or loader; -1 if it cannot be told from others."""
        try:
            known: int | None = self._owners.get(thing)
            if known is None:
                known = self._owners[thing] = self._next_owner
                self._next_owner += 1
        except TypeError:  # not hashable or not weakly referable
            return -1
        return known

    def where(self, frame: FrameType | None, state: ThreadState, *, in_graph: bool | None) -> Where:
        """Where the event at ``frame`` happened: the site columns of its row.

        ``in_graph`` is whether the operation itself is recorded for backward; None for an event
        that no backward repeats.
        """
        node: Any = torch._C._current_autograd_node()
        if node is not None:
            stack, backward = self._backward_site(node, frame, state)
            module = self.module(state.modules) if state.modules else -1
            return stack, state.thread, int(Phase.BACKWARD), module, backward
        stack = self.sites.capture(frame)
        if in_graph is not None and torch.is_grad_enabled():
            # The node of a differentiable operation is made just before its kernel runs.
            sequence = torch._C._autograd._get_sequence_nr() - 1
            state.remember(sequence, stack, in_graph=in_graph)
        module = self.module(state.modules) if state.modules else -1
        return stack, state.thread, state.phase, module, 0

    def _backward_site(
        self, node: Any, frame: FrameType | None, state: ThreadState
    ) -> tuple[int, int]:
        """``(stack, backward)`` of an event in the backward of ``node``."""
        if frame is not None and self.engine_code is not None:
            # A Function's backward, a hook, a recomputed forward: the user's own line.
            own = self.sites.capture_within(frame, self.engine_code)
            if own >= 0:
                return own, 0
        current = current_pass()
        # A pass that began before the recording did has no caller that we know.
        caller = current.caller if current is not None and current.caller is not None else state
        stack = self._forward_site(node, caller)
        if stack >= 0:
            return stack, 1
        if current is not None and current.stack >= 0:
            if self.engine_code is not None:
                # A hook of a library's: its lines, called from the line that runs the backward.
                hook = self.sites.capture_onto(frame, self.engine_code, current.stack)
                if hook >= 0:
                    return hook, 0
            return current.stack, 2
        return -1, 3

    def _forward_site(self, node: Any, caller: ThreadState) -> int:
        sequence = node._sequence_nr()
        if sequence == _NO_SEQUENCE:
            return -1
        found = caller.forward_sites.get(sequence)
        if found is None:
            return -1
        # Sequence numbers are counted per thread: where another thread ran forward as well, the
        # number alone does not tell whose node this is.
        for reference in self._states:
            other = reference()
            if other is None or other is caller:
                continue
            if sequence in other.forward_sites:
                return -1
        stack, in_graph = found
        if in_graph or any(word in node.name() for word in _INDEXING):
            return stack
        return -1

    def module(self, stack: list[torch.nn.Module]) -> int:
        """The interned path of the innermost running module under the outermost one."""
        root, innermost = stack[0], stack[-1]
        try:
            names = self._module_names.get(root)
        except TypeError:  # the user's class defines equality but no hash
            return self.string(type(innermost).__name__)
        if names is None or id(innermost) not in names:
            names = {id(module): self.string(name) for name, module in root.named_modules()}
            names[id(root)] = self.string(type(root).__name__)
            names.setdefault(id(innermost), self.string(type(innermost).__name__))
            self._module_names[root] = names
        return names[id(innermost)]

    def birth_number(self) -> int:
        """The next row number of ``births``."""
        number = self._next_birth
        self._next_birth += 1
        return number
