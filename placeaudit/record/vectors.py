"""Vector layers: arithmetic of classes that hold tensors, with where its operands live.

Such a class adds and multiplies dictionaries of tensors as if they were one, and moves what is
elsewhere on its way.  Classes come from ``placeaudit.register_vector``; those of declearn register
themselves once the program has imported them (``vector_library``).
"""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

from placeaudit.errors import UsageError
from placeaudit.model import Phase
from placeaudit.record.clock import now_ns

if TYPE_CHECKING:
    from placeaudit.record.sites import Sites
    from placeaudit.store.writer import RecordWriter

__all__ = [
    "OPERATIONS", "REGISTRY", "Registration", "VectorSource", "device_of", "nbytes_of", "register",
]  # fmt: skip

#: What is wrapped of a class whose ``operations`` are not named; those it lacks are left out.
OPERATIONS: Final = (
    "__add__", "__radd__", "__iadd__", "__sub__", "__rsub__", "__isub__", "__mul__", "__rmul__",
    "__imul__", "__truediv__", "__rtruediv__", "__itruediv__", "__pow__",
)  # fmt: skip
#: Python calls these of the operand on the right.
_REFLECTED: Final = frozenset({"__radd__", "__rsub__", "__rmul__", "__rtruediv__", "__rpow__"})
_MISSING: Final = object()

#: Device and bytes of a tensor.
_Lying = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Registration:
    """A class of vectors, the methods that are its arithmetic, and how its tensors are reached."""

    cls: type
    operations: tuple[str, ...]
    tensors: Callable[[Any], Iterable[Any]]


class _Registry:
    """The classes of this process; they outlive a session."""

    def __init__(self) -> None:
        self.known: dict[type, Registration] = {}
        self.source: VectorSource | None = None

    def add(self, registration: Registration) -> None:
        """Keep it, and wrap it at once where something records."""
        self.known[registration.cls] = registration
        if self.source is not None:
            self.source.wrap(registration)

    def of(self, value: object) -> Registration | None:
        """The registration of the nearest class of ``value``."""
        for cls in type(value).__mro__:
            found = self.known.get(cls)
            if found is not None:
                return found
        return None


REGISTRY: Final = _Registry()


def register(
    cls: type, operations: Sequence[str] | None, tensors: Callable[[Any], Iterable[Any]]
) -> None:
    """Make ``cls`` known; see ``placeaudit.register_vector``.

    Raises:
        UsageError: ``cls`` is no class, or lacks a method that ``operations`` names.
    """
    if not isinstance(cls, type):
        raise UsageError(f"register_vector takes a class, not {cls!r}")
    named = OPERATIONS if operations is None else tuple(operations)
    there = tuple(name for name in named if callable(getattr(cls, name, None)))
    missing = sorted(set(named) - set(there))
    if operations is not None and missing:
        raise UsageError(f"{cls.__name__} has no method {', '.join(missing)}")
    if not there:
        raise UsageError(f"{cls.__name__} has none of {', '.join(OPERATIONS)}: name its operations")
    REGISTRY.add(Registration(cls, there, tensors))


class _Thread(threading.local):
    """Inside which operation and which plug-in a thread is."""

    def __init__(self) -> None:
        self.inside = False
        #: Class of the optimizer plug-in that runs, "" outside of any.
        self.plugin = ""
        #: Vectors that are its state or were made of it, by identity: (name, the vector itself).
        self.states: dict[int, tuple[str, object]] = {}


class VectorSource:
    """Wraps the arithmetic of every registered class during one session."""

    def __init__(self, writer: RecordWriter, sites: Sites) -> None:
        self._writer = writer
        self._sites = sites
        self._local = _Thread()
        self._active = False
        self._failed = False
        self._undo: list[Callable[[], None]] = []

    @property
    def active(self) -> bool:
        """Whether it records."""
        return self._active

    def arm(self) -> None:
        """Wrap what is registered already, and what will be."""
        self._active = True
        REGISTRY.source = self
        for registration in list(REGISTRY.known.values()):
            self.wrap(registration)

    def disarm(self) -> None:
        """Put every original back; a wrapper that somebody kept passes on."""
        self._active = False
        if REGISTRY.source is self:
            REGISTRY.source = None
        for undo in reversed(self._undo):
            undo()
        self._undo.clear()

    def wrap(self, registration: Registration) -> None:
        """Replace the methods of one class."""
        for name in registration.operations:
            self.replace(registration.cls, name, functools.partial(self._operation, name))

    def replace(self, owner: type, name: str, make: Callable[[Any], Any]) -> None:
        """Put ``make(original)`` in place of a method, with its undo; once for each session."""
        own = vars(owner).get(name, _MISSING)
        original = getattr(owner, name)
        if getattr(original, "placeaudit_source", None) is self:
            return
        replacement = make(original)
        replacement.placeaudit_source = self
        setattr(owner, name, replacement)

        def undo() -> None:
            if vars(owner).get(name) is not replacement:
                return  # somebody patched over ours: it passes on
            if own is _MISSING:
                delattr(owner, name)
            else:
                setattr(owner, name, own)

        self._undo.append(undo)

    def plugin(self, original: Callable[..., Any]) -> Callable[..., Any]:
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
                local.plugin, local.states = type(plugin).__name__, _states(plugin)
            except Exception as error:  # noqa: BLE001  (our failure is not the program's)
                self.failed(error)
            try:
                return original(plugin, *args, **kwargs)
            finally:
                local.plugin, local.states = outer

        return run

    def failed(self, error: BaseException) -> None:
        """A recorder failed inside the program: say so once, let the program go on."""
        if not self._failed:
            self._failed = True
            self._writer.note("PA903", f"recording vectors failed and is incomplete: {error!r}")

    def _operation(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        local = self._local

        @functools.wraps(original)
        def operation(vector: Any, *args: Any, **kwargs: Any) -> Any:
            if not self._active or local.inside or not args:
                return original(vector, *args, **kwargs)
            try:
                before = _lying(vector), _lying(args[0])  # an operation in place overwrites it
            except Exception as error:  # noqa: BLE001  (our failure is not the program's)
                self.failed(error)
                return original(vector, *args, **kwargs)
            local.inside = True
            start = now_ns()
            try:
                result = original(vector, *args, **kwargs)
            finally:
                local.inside = False
            try:
                self._track(vector, args[0], result)
                if before[1]:
                    label = _label(name, args)
                    operands = (vector, args[0])
                    if name in _REFLECTED:
                        operands, before = operands[::-1], before[::-1]
                    self._append(
                        start,
                        label=label,
                        operands=operands,
                        before=before,
                        result=result,
                        frame=sys._getframe(1),  # noqa: SLF001
                    )
            except Exception as error:  # noqa: BLE001
                self.failed(error)
            return result

        return operation

    def _track(self, left: object, right: object, result: object) -> None:
        """In a plug-in: what is made of its state counts as its state."""
        states = self._local.states
        known = states.get(id(left)) or states.get(id(right))
        if known is not None and result is not NotImplemented:
            states.setdefault(id(result), (known[0], result))

    def _append(
        self,
        start: int,
        *,
        label: str,
        operands: tuple[object, object],
        before: tuple[list[_Lying], list[_Lying]],
        result: object,
        frame: FrameType,
    ) -> None:
        local, string = self._local, self._writer.string
        left, right = before
        apart = _apart(left, right)
        states = [local.states.get(id(operand), ("", None))[0] for operand in operands]
        self._writer.rows("vectors").append(
            (
                start,
                now_ns() - start,
                string(type(operands[0]).__name__),
                string(label),
                string(_devices(left)),
                string(_devices(right)),
                string(_devices(_lying(result))),
                sum(left[i][1] for i, _ in apart),
                sum(right[i][1] for _, i in apart),
                len(apart),
                string(local.plugin) if local.plugin else -1,
                string(states[0]) if states[0] else -1,
                string(states[1]) if states[1] else -1,
                self._sites.capture(frame),
                threading.get_native_id(),
                int(Phase.OTHER),
                -1,
                0,
            )
        )


def _label(name: str, args: tuple[Any, ...]) -> str:
    """``add`` of ``__add__``, ``__radd__`` and ``_apply_operation(other, torch.add)``."""
    if name == "_apply_operation" and len(args) > 1:
        return str(getattr(args[1], "__name__", name))
    return f"__{name[3:]}".strip("_") if name in _REFLECTED else name.strip("_")


def _states(plugin: object) -> dict[int, tuple[str, object]]:
    """The vectors among the attributes of a plug-in."""
    return {
        id(value): (name, value)
        for name, value in vars(plugin).items()
        if REGISTRY.of(value) is not None
    }


def _lying(value: object) -> list[_Lying]:
    """Where the tensors of a vector lie; of a tensor or array itself; nothing for a number."""
    registration = REGISTRY.of(value)
    if registration is None:
        return [] if getattr(value, "shape", None) is None else [_where(value)]
    return [_where(tensor) for tensor in registration.tensors(value)]


def _where(tensor: Any) -> _Lying:
    return device_of(tensor), nbytes_of(tensor)


def device_of(tensor: Any) -> str:
    """The device as records name it: "cpu", "cuda:0", "GPU:0"; a NumPy array's is "cpu"."""
    device = getattr(tensor, "device", None)
    name = "cpu" if device is None else str(device)
    if not name.startswith("/"):
        return name
    # TensorFlow's name; in simulation it is the logical device that stands for it.
    module = sys.modules.get("placeaudit.simulate.tensorflow_gpu.installation")
    installed = module.active() if module is not None else None
    if installed is not None:
        return str(installed.names.to_shown(name))
    kind, _, index = name.rpartition("device:")[2].partition(":")
    return "cpu" if (kind, index) == ("CPU", "0") else f"{kind}:{index}"


def nbytes_of(tensor: Any) -> int:
    """Bytes of a tensor's elements."""
    size = getattr(tensor, "nbytes", None)
    if size is not None:
        return int(size)
    count = 1
    for length in tensor.shape:
        count *= int(length)
    return count * int(tensor.dtype.size)


def _apart(left: list[_Lying], right: list[_Lying]) -> list[tuple[int, int]]:
    """Positions of tensors that meet on different devices.

    Whether they were copied is another matter: a number on the host is not.
    """
    if len(left) == len(right):
        pairs = [(i, i) for i in range(len(left))]
    elif len(right) == 1:
        pairs = [(i, 0) for i in range(len(left))]
    elif len(left) == 1:
        pairs = [(0, i) for i in range(len(right))]
    else:
        return []
    return [(i, j) for i, j in pairs if left[i][0] != right[j][0]]


def _devices(tensors: list[_Lying]) -> str:
    return ", ".join(sorted({device for device, _ in tensors}))
