"""What is known of objects by their identity, for as long as they live."""

from __future__ import annotations

import weakref
from typing import Generic, TypeVar

__all__ = ["ByIdentity"]

T = TypeVar("T")


class ByIdentity(Generic[T]):
    """A mapping from objects, hashable or not, that keeps none of them alive.

    Objects that cannot be referred to weakly (numbers, instances with ``__slots__``) are not kept.
    """

    def __init__(self) -> None:
        self._known: dict[int, tuple[weakref.ref[object], T]] = {}

    def __len__(self) -> int:
        return len(self._known)

    def put(self, thing: object, value: T) -> None:
        """Know ``value`` of ``thing`` from here on."""
        number, known = id(thing), self._known
        try:
            # The reference is gone before its object's identity can be given to another one.
            known[number] = (weakref.ref(thing, lambda _: known.pop(number, None)), value)
        except TypeError:
            return

    def get(self, thing: object) -> T | None:
        """What is known of ``thing``."""
        found = self._known.get(id(thing))
        return found[1] if found is not None and found[0]() is thing else None

    def clear(self) -> None:
        """Forget all."""
        self._known.clear()
