"""What stands for a record where guards look on and nothing is written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["NoSites", "Nowhere"]


class Nowhere:
    """Stands for a record's writer: interns texts, keeps nothing."""

    def __init__(self) -> None:
        self._strings: dict[str, int] = {}
        self.before_flush: list[Callable[[], None]] = []

    def rows(self, _table: str) -> list[Any]:
        """Rows that go nowhere."""
        return []

    def string(self, text: str) -> int:
        """The number of a text."""
        return self._strings.setdefault(text, len(self._strings))

    def note(self, *_: object) -> None:
        """Nobody reads it."""


class NoSites:
    """Stands for the sites of a record."""

    def capture(self, _frame: object) -> int:
        """No stack."""
        return -1

    def known(self, _places: object) -> int:
        """No stack."""
        return -1
