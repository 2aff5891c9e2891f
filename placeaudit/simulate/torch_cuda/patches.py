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

__all__ = ["Patches", "forget_initialization", "leave_initialization"]

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
    """``torch.cuda`` remembers that it was initialised and how many devices there are.

    It also keeps the seeds set so far, for when it is initialised.  The host's generator, which has
    drawn numbers since, must not go back to them: only torch's own calls are left.
    """
    cuda: Any = torch.cuda
    own = [call for call in cuda._queued_calls if _is_own(call[0])]
    patches.set(cuda, "_queued_calls", own)
    patches.set(cuda, "_lazy_seed_tracker", cuda._LazySeedTracker())
    patches.set(torch.cuda, "_initialized", False)
    patches.set(torch.cuda, "_cached_device_count", None)
    patches.set(torch.cuda, "default_generators", ())


def _is_own(function: Callable[[], None]) -> bool:
    return vars(torch.cuda).get(function.__name__) is function


def leave_initialization(patches: Patches) -> None:
    """As in a program that has not used a device so far: its first use initialises.

    Calls that wait for that (seeds, states of generators) are made at once, since the generators
    they are for are the host's.
    """
    wait: Any = torch.cuda._lazy_call

    def call(function: Callable[[], None], **kinds: bool) -> None:
        if torch.cuda._is_in_bad_fork():
            wait(function, **kinds)
        else:
            function()

    patches.set(torch.cuda, "_lazy_call", call)
    patches.set(torch.cuda.random, "_lazy_call", call)
    patches.set(torch.cuda, "_queued_calls", [])
    patches.set(torch.cuda, "_initialized", False)
