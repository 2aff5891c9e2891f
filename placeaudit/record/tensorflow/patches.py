"""Every change that recording makes to TensorFlow and Keras, each with its undo."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

__all__ = ["PatchSet"]

_MISSING: Final = object()


class PatchSet:
    """Wraps functions of TensorFlow and puts them back."""

    def __init__(self) -> None:
        self._undo: list[Callable[[], None]] = []

    def on_undo(self, action: Callable[[], None]) -> None:
        """Do ``action`` at the end."""
        self._undo.append(action)

    def wrap(self, owner: Any, name: str, make: Callable[[Any], Any]) -> None:
        """Replace ``owner.name`` by what ``make`` makes of it."""
        own = vars(owner).get(name, _MISSING)
        replacement = make(getattr(owner, name))
        setattr(owner, name, replacement)

        def back() -> None:
            if vars(owner).get(name) is not replacement:
                return  # somebody patched over ours since
            if own is _MISSING:
                delattr(owner, name)
            else:
                setattr(owner, name, own)

        self._undo.append(back)

    def undo(self) -> None:
        """Put everything back, the latest first; safe to call twice."""
        while self._undo:
            self._undo.pop()()
