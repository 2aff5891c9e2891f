"""``torch.cuda.set_sync_debug_mode``: what PyTorch itself knows to make the host wait.

As there (``c10::cuda::warn_or_error_on_sync``): blocking copies, reads of a value and operators
that need a size from the device; not what was asked for in so many words, and not the copies that
only the driver makes wait (pageable memory with ``non_blocking=True``).
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Final

import torch

from placeaudit.crossing import WAITING

if TYPE_CHECKING:
    from collections.abc import Callable

    from placeaudit.simulate.torch_cuda.patches import Patches

    Kernel = Callable[..., Any]

__all__ = ["SYNC_DEBUG", "about_to_wait", "add_sync_debug", "watch_waits"]

_WARN: Final = 1
_ERROR: Final = 2
_TEXT: Final = "called a synchronizing CUDA operation"


class _SyncDebug:
    """The mode in force: 0 nothing, 1 warn, 2 raise."""

    __slots__ = ("mode",)

    def __init__(self) -> None:
        self.mode = 0

    def set(self, mode: int) -> None:
        """Change the mode."""
        self.mode = mode

    def get(self) -> int:
        """The mode."""
        return self.mode


SYNC_DEBUG: Final = _SyncDebug()


def about_to_wait() -> None:
    """Say so, where the program asked to be told.

    Raises:
        RuntimeError: the mode is "error".
    """
    if SYNC_DEBUG.mode == _ERROR:
        raise RuntimeError(_TEXT)
    if SYNC_DEBUG.mode == _WARN:
        warnings.warn(_TEXT, UserWarning, stacklevel=2)


def watch_waits(name: str, kernel: Kernel) -> Kernel:
    """The kernel of an operator, which says first that it waits, where it does."""
    waiting = WAITING.get(name)
    if waiting is None:
        return kernel
    waits = waiting.waits

    def watched(*args: Any, **kwargs: Any) -> Any:
        if SYNC_DEBUG.mode and waits(args, kwargs):
            about_to_wait()
        return kernel(*args, **kwargs)

    return watched


def add_sync_debug(patches: Patches) -> None:
    """Supply the functions of a CUDA build's ``torch._C``; the mode ends with the simulation."""
    patches.set_all(
        torch._C,
        {
            "_cuda_set_sync_debug_mode": SYNC_DEBUG.set,
            "_cuda_get_sync_debug_mode": SYNC_DEBUG.get,
        },
    )
    patches.on_undo(lambda: SYNC_DEBUG.set(0))
