"""Every change that simulated CUDA makes to torch's Python surface, each with its undo.

Most of ``torch.cuda`` is Python over functions ``torch._C._cuda_*`` that a CPU build lacks.  Those
functions are supplied (:mod:`.runtime`, :mod:`.streams`, :mod:`.ledger`) and torch's own Python
code runs unchanged above them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Patches"]

_MISSING: Final = object()


class Patches:
    """Attributes set on somebody else's objects; :meth:`undo` puts them back in reverse order."""

    def __init__(self) -> None:
        self._undo: list[Callable[[], None]] = []

    def set(self, owner: Any, name: str, value: object) -> None:
        """Set one attribute of a module or class."""
        before = vars(owner).get(name, _MISSING)

        def restore() -> None:
            if before is _MISSING:
                delattr(owner, name)
            else:
                setattr(owner, name, before)

        setattr(owner, name, value)
        self._undo.append(restore)

    def set_all(self, owner: Any, values: dict[str, object]) -> None:
        """Set several attributes of one owner."""
        for name, value in values.items():
            self.set(owner, name, value)

    def on_undo(self, action: Callable[[], None]) -> None:
        """Run ``action`` when everything is put back."""
        self._undo.append(action)

    def undo(self) -> None:
        """Put everything back; safe to call twice."""
        while self._undo:
            self._undo.pop()()


def forget_initialization(patches: Patches) -> None:
    """``torch.cuda`` remembers that it was initialised and how many devices there are."""
    patches.set(torch.cuda, "_initialized", False)
    patches.set(torch.cuda, "_cached_device_count", None)
    patches.set(torch.cuda, "default_generators", ())
