"""Records the arithmetic of vectors during one session, and where its operands came from."""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Any, Final, Protocol

from placeaudit.model import Phase
from placeaudit.record.clock import now_ns
from placeaudit.record.identity import ByIdentity
from placeaudit.record.vectors import (
    REFLECTED,
    REGISTRY,
    Lying,
    Registration,
    apart,
    devices,
    lying,
)
from placeaudit.store.writer import WAKE_ROWS

if TYPE_CHECKING:
    from placeaudit.record.sites import Sites
    from placeaudit.store.writer import RecordWriter

__all__ = ["CREATED", "DESERIALIZED", "Surroundings", "VectorSource", "Where", "states_of"]

#: How a vector came to be, other than by arithmetic.
CREATED: Final = "created"
DESERIALIZED: Final = "deserialized"
#: What packing makes lies on the host, whatever its type.
_HOST: Final = "cpu"
_MISSING: Final = object()

#: stack, thread, phase, module, backward: the last columns of a row.
Where = tuple[int, int, int, int, int]


class Surroundings(Protocol):
    """The frameworks of this process, which know in what phase and module a thread is."""

    def where(self, frame: FrameType) -> Where:
        """The site columns of an event at ``frame``."""
        ...

    def in_phase(self, phase: Phase) -> Callable[[], None]:
        """The calling thread is in ``phase`` until what is returned is called."""
        ...


@dataclass(frozen=True, slots=True)
class _Origin:
    """How and where a vector came to be, or the one that it was computed from."""

    kind: str
    stack: int


@dataclass(frozen=True, slots=True)
class _Plugin:
    """What of an optimizer pipeline a thread is in."""

    name: str = ""
    #: "module", "regularizer", "aggregator".
    role: str = ""
    #: Stack of the latest call that restored its state, -1 where none did.
    restored: int = -1
    thing: object = None
    #: How the plug-in that called it names it, "" where none did.
    attribute: str = ""


class _Thread(threading.local):
    """Inside which operation and which plug-in a thread is."""

    def __init__(self) -> None:
        self.inside = False
        self.plugin = _Plugin()
        #: Names of the plug-in's state by the vectors that are it or were made of it.
        self.states: ByIdentity[str] = ByIdentity()


class VectorSource:
    """Wraps the arithmetic of every registered class during one session."""

    def __init__(self, writer: RecordWriter, sites: Sites, surroundings: Surroundings) -> None:
        self._writer = writer
        self._sites = sites
        self._around = surroundings
        self._local = _Thread()
        self._active = False
        self._failed = False
        self._undo: list[Callable[[], None]] = []
        self._origins: ByIdentity[_Origin] = ByIdentity()
        #: By plug-in: stack of the latest call that restored its state.
        self._restored: ByIdentity[int] = ByIdentity()

    @property
    def active(self) -> bool:
        """Whether it records."""
        return self._active

    def arm(self) -> None:
        """Wrap what is registered already, and what will be."""
        self._active = True
        REGISTRY.begin(self)

    def disarm(self) -> None:
        """Put every original back; a wrapper that somebody kept passes on."""
        self._active = False
        REGISTRY.end(self)
        for undo in reversed(self._undo):
            undo()
        self._undo.clear()
        self._origins.clear()
        self._restored.clear()

    def after_fork(self) -> None:
        """In a forked child: interned stacks are the parent's."""
        self._failed = False
        self._origins.clear()
        self._restored.clear()

    # --- wrapping ------------------------------------------------------------------------------

    def wrap(self, cls: type, registration: Registration) -> None:
        """Replace the methods of one class."""
        for name in registration.operations:
            self.replace(cls, name, functools.partial(self._operation, name))
        for name in registration.functions:
            self.replace(cls, name, functools.partial(self._function, name))
        for name in registration.packing:
            self.replace(cls, name, functools.partial(self._packing, name))
        for name in registration.unpacking:
            self.replace_class_method(cls, name, functools.partial(self.unpacking, name))
        if any("__init__" in vars(each) for each in cls.__mro__ if each is not object):
            self.replace(cls, "__init__", self._created)

    def replace(self, owner: Any, name: str, make: Callable[[Any], Any]) -> None:
        """Put ``make(original)`` in place of a method, with its undo; once for each session."""
        original = getattr(owner, name)
        if getattr(original, "placeaudit_source", None) is not self:
            self._put(owner, name, make(original), lambda made: made)

    def replace_class_method(self, owner: type, name: str, make: Callable[[Any], Any]) -> None:
        """As ``replace``, of a class method; ``make`` takes the function beneath it."""
        original = getattr(owner, name).__func__
        if getattr(original, "placeaudit_source", None) is not self:
            self._put(owner, name, make(original), classmethod)

    def _put(self, owner: Any, name: str, made: Any, kind: Callable[[Any], Any]) -> None:
        own = vars(owner).get(name, _MISSING)
        made.placeaudit_source = self
        replacement = kind(made)
        setattr(owner, name, replacement)

        def undo() -> None:
            if vars(owner).get(name) is not replacement:
                return  # somebody patched over ours: it passes on
            if own is _MISSING:
                delattr(owner, name)
            else:
                setattr(owner, name, own)

        self._undo.append(undo)

    def failed(self, error: BaseException) -> None:
        """A recorder failed inside the program: say so once, let the program go on."""
        if not self._failed:
            self._failed = True
            self._writer.note("PA903", f"recording vectors failed and is incomplete: {error!r}")

    # --- plug-ins ------------------------------------------------------------------------------

    def plugin(self, role: str, original: Callable[..., Any]) -> Callable[..., Any]:
        """A plug-in's method, as ``OptiModule.run``: operations inside are its, and on its state.

        The vectors among its attributes are its state.
        """
        local = self._local

        @functools.wraps(original)
        def run(plugin: Any, *args: Any, **kwargs: Any) -> Any:
            if not self._active:
                return original(plugin, *args, **kwargs)
            outer = local.plugin, local.states
            try:
                local.plugin, local.states = self._entered(plugin, role, *outer)
            except Exception as error:  # noqa: BLE001  (our failure is not the program's)
                self.failed(error)
            try:
                result = original(plugin, *args, **kwargs)
                inner, state = local.plugin, local.states.get(result)
                if state is not None and inner.attribute:
                    outer[1].put(result, f"{inner.attribute}.{state}")
                return result
            finally:
                local.plugin, local.states = outer

        return run

    def _entered(
        self, thing: object, role: str, outer: _Plugin, states: ByIdentity[str]
    ) -> tuple[_Plugin, ByIdentity[str]]:
        """``thing`` runs, inside ``outer``: the two moving averages of Adam are told apart."""
        if outer.thing is thing:  # its method calls that of its base class
            return outer, states
        name, attribute = type(thing).__name__, ""
        for key, value in getattr(outer.thing, "__dict__", {}).items():
            if value is thing:
                name, attribute = f"{outer.name}.{key}", key
        found: ByIdentity[str] = ByIdentity()
        for state, vector in states_of(thing):
            found.put(vector, state)
        restored = self._restored.get(thing)
        stack = -1 if restored is None else restored
        return _Plugin(name, role, stack, thing, attribute), found

    def restoring(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """A plug-in's ``set_state``: where its state is restored."""

        @functools.wraps(original)
        def set_state(plugin: Any, *args: Any, **kwargs: Any) -> Any:
            if self._active:
                try:
                    self._restored.put(plugin, self._sites.capture(sys._getframe(1)))  # noqa: SLF001
                except Exception as error:  # noqa: BLE001
                    self.failed(error)
            return original(plugin, *args, **kwargs)

        return set_state

    # --- vectors -------------------------------------------------------------------------------

    def _operation(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        """A method that takes another vector, or a number."""

        @functools.wraps(original)
        def operation(vector: Any, *args: Any, **kwargs: Any) -> Any:
            if not self._active or self._local.inside or not args:
                return original(vector, *args, **kwargs)
            operands = (args[0], vector) if name in REFLECTED else (vector, args[0])
            call = functools.partial(original, vector, *args, **kwargs)
            return self._recorded(_label(name, args), operands, call, sys._getframe(1))  # noqa: SLF001

        return operation

    def _function(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        """A method of one vector alone."""

        @functools.wraps(original)
        def function(vector: Any, *args: Any, **kwargs: Any) -> Any:
            if not self._active or self._local.inside:
                return original(vector, *args, **kwargs)
            call = functools.partial(original, vector, *args, **kwargs)
            return self._recorded(name, (vector,), call, sys._getframe(1))  # noqa: SLF001

        return function

    def _packing(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        """A method that makes of a vector what can be sent or saved."""

        @functools.wraps(original)
        def pack(vector: Any, *args: Any, **kwargs: Any) -> Any:
            if not self._active or self._local.inside:
                return original(vector, *args, **kwargs)
            call = functools.partial(original, vector, *args, **kwargs)
            return self._recorded(name, (vector,), call, sys._getframe(1), _HOST)  # noqa: SLF001

        return pack

    def unpacking(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        """A class method that makes a vector of that: a new origin."""

        @functools.wraps(original)
        def unpack(cls: Any, *args: Any, **kwargs: Any) -> Any:
            if not self._active or self._local.inside:
                return original(cls, *args, **kwargs)
            frame = sys._getframe(1)  # noqa: SLF001
            call = functools.partial(original, cls, *args, **kwargs)
            vector = self._recorded(name, (), call, frame)
            self._came(vector, DESERIALIZED, frame)
            return vector

        return unpack

    def _created(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """``__init__``: what no operation makes begins here."""

        @functools.wraps(original)
        def init(vector: Any, *args: Any, **kwargs: Any) -> None:
            original(vector, *args, **kwargs)
            if self._active and not self._local.inside:
                self._came(vector, CREATED, sys._getframe(1))  # noqa: SLF001

        return init

    def _came(self, vector: object, kind: str, frame: FrameType) -> None:
        try:
            self._origins.put(vector, _Origin(kind, self._sites.capture(frame)))
        except Exception as error:  # noqa: BLE001  (our failure is not the program's)
            self.failed(error)

    def _recorded(
        self,
        label: str,
        operands: tuple[object, ...],
        call: Callable[[], Any],
        frame: FrameType,
        made: str = "",
    ) -> Any:
        """What ``call`` returns; the row of it, where there is something to say."""
        local = self._local
        try:
            before = [lying(operand) for operand in operands]  # in place it is overwritten
        except Exception as error:  # noqa: BLE001  (our failure is not the program's)
            self.failed(error)
            return call()
        local.inside = True
        start = now_ns()
        try:
            result = call()
        finally:
            local.inside = False
        host_ns = now_ns() - start
        try:
            after = made or devices(lying(result))
            operation = _Operation(label, operands, before, result, after)
            self._follow(operation)
            if operation.tells:
                self._append(start, host_ns, operation, frame)
        except Exception as error:  # noqa: BLE001
            self.failed(error)
        return result

    def _follow(self, operation: _Operation) -> None:
        """What is made of a plug-in's state counts as its state, and comes from where it came."""
        result, states = operation.result, self._local.states
        if result is NotImplemented or not operation.operands:
            return
        names = [name for each in operation.operands if (name := states.get(each))]
        if names and states.get(result) is None:
            states.put(result, names[0])
        # The operand whose device the result has is the one that brought it there.
        placed = [devices(each) == operation.after for each in operation.before]
        order = sorted(range(len(placed)), key=lambda i: not placed[i])
        for index in order:
            origin = self._origins.get(operation.operands[index])
            if origin is not None:
                self._origins.put(result, origin)
                return

    def _append(self, start: int, host_ns: int, done: _Operation, frame: FrameType) -> None:
        local, string = self._local, self._writer.string
        left, right = done.side(0), done.side(1)
        pairs = apart(left, right)
        sides = [*done.operands, None, None][:2]
        states = [local.states.get(side) or "" for side in sides]
        origins = [self._origins.get(side) for side in sides]
        plugin = local.plugin
        rows = self._writer.rows("vectors")
        rows.append(
            (
                start,
                host_ns,
                string(type(done.operands[0] if done.operands else done.result).__name__),
                string(done.label),
                string(devices(left)),
                string(devices(right)),
                string(done.after),
                sum(left[i][1] for i, _ in pairs),
                sum(right[i][1] for _, i in pairs),
                len(pairs),
                *(string(text) if text else -1 for text in (plugin.name, plugin.role, *states)),
                plugin.restored,
                *(string(origin.kind) if origin else -1 for origin in origins),
                *(origin.stack if origin else -1 for origin in origins),
                *self._around.where(frame),
            )
        )
        if len(rows) >= WAKE_ROWS:
            self._writer.pressure(len(rows))


@dataclass(frozen=True, slots=True)
class _Operation:
    """An operation that has returned."""

    label: str
    operands: tuple[object, ...]
    #: Where the tensors of each operand lay before it.
    before: list[list[Lying]]
    result: object
    #: Devices of the result.
    after: str

    def side(self, index: int) -> list[Lying]:
        """Where the tensors of an operand lay; nothing where there is no such operand."""
        return self.before[index] if index < len(self.before) else []

    @property
    def tells(self) -> bool:
        """Whether there is a row in it: two that hold tensors, or one that changes its device."""
        if self.result is NotImplemented:
            return False
        held = [each for each in self.before if each]
        if not self.operands or len(held) > 1:
            return True
        return bool(held) and self.after not in ("", devices(held[0]))


def _label(name: str, args: tuple[Any, ...]) -> str:
    """``add`` of ``__add__``, ``__radd__`` and ``_apply_operation(other, torch.add)``."""
    if name == "_apply_operation" and len(args) > 1:
        return str(getattr(args[1], "__name__", name))
    return f"__{name[3:]}".strip("_") if name in REFLECTED else name.strip("_")


def states_of(plugin: object) -> Iterator[tuple[str, object]]:
    """The vectors among the attributes of a plug-in, and in its dictionaries and lists."""
    for name, value in getattr(plugin, "__dict__", {}).items():
        if REGISTRY.of(value) is not None:
            yield name, value
        elif isinstance(value, dict):
            yield from ((f"{name}[{k!r}]", v) for k, v in value.items() if REGISTRY.of(v))
        elif isinstance(value, list | tuple):
            yield from ((f"{name}[{i}]", v) for i, v in enumerate(value) if REGISTRY.of(v))
