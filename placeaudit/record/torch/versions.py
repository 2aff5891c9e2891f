"""What the recorder finds different between versions of torch, from 2.10 on."""

from __future__ import annotations

import ctypes

import torch

__all__ = ["forget_in_thread", "keep_in_thread"]

_increment = ctypes.pythonapi.Py_IncRef
_increment.argtypes = (ctypes.py_object,)
_increment.restype = None


def _takes_reference() -> bool:
    """Whether what is kept in thread state is held there; torch 2.10 and 2.11 forget to."""
    return tuple(int(part) for part in torch.__version__.split(".")[:2]) >= (2, 12)


_HOLDS = _takes_reference()


def keep_in_thread(key: str, value: object) -> None:
    """Keep ``value`` where the autograd engine hands it on to its threads."""
    if not _HOLDS:
        _increment(value)
    torch._C._stash_obj_in_tls(key, value)


def forget_in_thread(key: str) -> None:
    """Forget what was kept; before torch 2.13 a None stays in its place."""
    if hasattr(torch._C, "_remove_obj_from_tls"):
        torch._C._remove_obj_from_tls(key)
    else:
        keep_in_thread(key, None)
