"""Vector layers: which classes are vectors, what their arithmetic is, and where their tensors lie.

Such a class adds and multiplies dictionaries of tensors as if they were one, and moves what is
elsewhere on its way.  Classes come from ``placeaudit.register_vector``, for as long as they exist;
those of declearn belong to the session that has seen them imported (``vector_library``).
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from placeaudit.errors import UsageError

__all__ = [
    "OPERATIONS", "REFLECTED", "REGISTRY", "Lying", "Registration", "apart", "device_of", "devices",
    "dtype_of", "lying", "named_tensors", "nbytes_of", "register",
]  # fmt: skip

#: What is wrapped of a class whose ``operations`` are not named; those it lacks are left out.
OPERATIONS: Final = (
    "__add__", "__radd__", "__iadd__", "__sub__", "__rsub__", "__isub__", "__mul__", "__rmul__",
    "__imul__", "__truediv__", "__rtruediv__", "__itruediv__", "__floordiv__", "__rfloordiv__",
    "__ifloordiv__", "__mod__", "__rmod__", "__imod__", "__pow__", "__rpow__", "__ipow__",
    "__matmul__", "__rmatmul__", "__imatmul__",
)  # fmt: skip
#: Python calls these of the operand on the right.
REFLECTED: Final = frozenset(name for name in OPERATIONS if name.startswith("__r"))

#: Device and bytes of a tensor.
Lying = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Registration:
    """What of a class of vectors is recorded, and how its tensors are reached."""

    #: Methods ``(self, other)``.
    operations: tuple[str, ...]
    tensors: Callable[[Any], Iterable[Any]]
    #: Methods ``(self, …)`` that give another vector, or a number.
    functions: tuple[str, ...] = ()
    #: Methods that turn a vector into what can be sent or saved, and class methods that turn it
    #: back.
    packing: tuple[str, ...] = ()
    unpacking: tuple[str, ...] = ()


class _Wraps(Protocol):
    """A session that records."""

    def wrap(self, cls: type, registration: Registration) -> None:
        """Wrap the methods of a class."""


class _Registry:
    """The classes that the program has registered, as long as they exist; and who records."""

    def __init__(self) -> None:
        self._named: weakref.WeakKeyDictionary[type, Registration] = weakref.WeakKeyDictionary()
        #: Known to the session that records; gone with it.
        self._library: dict[type, Registration] = {}
        self._source: _Wraps | None = None

    def add(self, cls: type, registration: Registration) -> None:
        """Keep it, and wrap it at once where something records."""
        self._named[cls] = registration
        if self._source is not None:
            self._source.wrap(cls, registration)

    def begin(self, source: _Wraps) -> None:
        """``source`` records from here on."""
        self._source = source
        for cls, registration in list(self._named.items()):
            source.wrap(cls, registration)

    def add_library(self, source: _Wraps, cls: type, registration: Registration) -> None:
        """A class that ``source`` knows of by itself, as long as it records."""
        if source is self._source:
            self._library[cls] = registration
            source.wrap(cls, registration)

    def end(self, source: _Wraps) -> None:
        """It records no more: what only it knew is forgotten."""
        if source is self._source:
            self._source = None
            self._library.clear()

    def forget(self, cls: type) -> None:
        """A class of the program is no vector any more."""
        self._named.pop(cls, None)

    def of(self, value: object) -> Registration | None:
        """The registration of the nearest class of ``value``."""
        for cls in type(value).__mro__:
            found = self._named.get(cls) or self._library.get(cls)
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
    REGISTRY.add(cls, Registration(there, tensors))


def lying(value: object) -> list[Lying]:
    """Where the tensors of a vector lie; of a tensor or array itself; nothing for a number."""
    registration = REGISTRY.of(value)
    if registration is None:
        return [] if getattr(value, "shape", None) is None else [_where(value)]
    return [_where(tensor) for tensor in registration.tensors(value)]


def named_tensors(vector: Any) -> Iterator[tuple[str, Any]]:
    """The tensors of a vector with their names: the keys of ``coefs``, or numbers."""
    registration = REGISTRY.of(vector)
    if registration is None:
        return
    coefs = getattr(vector, "coefs", None)
    names = list(map(str, coefs)) if isinstance(coefs, dict) else []
    tensors = list(registration.tensors(vector))
    if len(names) != len(tensors):
        names = [str(number) for number in range(len(tensors))]
    yield from zip(names, tensors, strict=True)


def _where(tensor: Any) -> Lying:
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


def dtype_of(tensor: Any) -> str:
    """The element type, without "torch."."""
    return str(getattr(tensor.dtype, "name", tensor.dtype)).removeprefix("torch.")


def apart(left: list[Lying], right: list[Lying]) -> list[tuple[int, int]]:
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


def devices(tensors: list[Lying]) -> str:
    """The devices of a vector: "cpu", or "cpu, cuda:0" where there are several."""
    return ", ".join(sorted({device for device, _ in tensors}))
