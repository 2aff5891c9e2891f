"""The legacy types: ``torch.cuda.FloatTensor(2, 3)``, ``x.type(torch.cuda.HalfTensor)``.

Their C++ objects exist in every build and refuse to construct where ``is_cuda`` is set and the
build is without CUDA; nothing else reads that flag.  It lies right before the type's name.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from placeaudit.simulate.torch_cuda.patches import Patches

__all__ = ["add_tensor_types"]

#: More than a type object and what PyTorch puts behind it.
_SEARCHED_BYTES = 1024


def _flag_of(kind: Any) -> ctypes.c_uint8 | None:
    """``PyTensorType::is_cuda``; ``is_xpu`` follows it, then the name."""
    name = f"{kind.__module__}.{kind.__name__}".encode() + b"\0"
    start = id(kind)
    found = (ctypes.c_char * _SEARCHED_BYTES).from_address(start).raw.find(name)
    if found < 0:
        return None
    flag = ctypes.c_uint8.from_address(start + found - 2)
    return flag if flag.value == 1 else None


def _restore(flag: ctypes.c_uint8) -> None:
    flag.value = 1


def add_tensor_types(patches: Patches) -> None:
    """Let the types of ``torch.cuda`` construct."""
    for kind in torch._tensor_classes:
        if kind.__module__ == "torch.cuda" and (flag := _flag_of(kind)) is not None:
            flag.value = 0
            patches.on_undo(lambda flag=flag: _restore(flag))  # type: ignore[misc]
