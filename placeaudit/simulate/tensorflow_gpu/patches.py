"""Every change that simulation makes to TensorFlow, each with its undo."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["Patches"]

_MISSING: Any = object()


class Patches:
    """Attributes replaced, to be put back in reverse order."""

    def __init__(self) -> None:
        self._undo: list[Callable[[], None]] = []

    def on_undo(self, action: Callable[[], None]) -> None:
        """Do ``action`` at the end."""
        self._undo.append(action)

    def replace(self, owner: Any, name: str, value: object) -> Any:
        """Set an attribute; returns what it was."""
        before = vars(owner).get(name, _MISSING)
        current = getattr(owner, name, None)
        setattr(owner, name, value)

        def back() -> None:
            if before is _MISSING:
                delattr(owner, name)
            else:
                setattr(owner, name, before)

        self._undo.append(back)
        return current

    def undo(self) -> None:
        """Put everything back; safe to call twice."""
        while self._undo:
            self._undo.pop()()
