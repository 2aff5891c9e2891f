"""Zero-copy aliases between host and simulated device.

A simulated device tensor is host memory with another device written on it.  DLPack hands the memory
over without a copy and keeps it alive; the device is one word of the exchange structure
(``DLDevice`` in dlpack.h: type in the low half, index in the high half; 1 is CPU, 2 is CUDA).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch

from placeaudit.simulate.torch_cuda.native import memory

if TYPE_CHECKING:
    from placeaudit.simulate.torch_cuda.ledger import Ledger

__all__ = [
    "ledgers",
    "to_device",
    "to_host",
    "to_plain_device",
    "to_plain_host",
    "to_uncounted_device",
]

#: Whoever counts device memory: told of every new device tensor.
ledgers: Final[list[Ledger]] = []

_to_dlpack = torch._C._to_dlpack
_from_dlpack = torch._C._from_dlpack
_set_conj = torch._C._set_conj
_set_neg = torch._C._set_neg

_CPU_WORD = 1
_CUDA_WORDS = tuple(2 | index << 32 for index in range(8))


def to_plain_host(tensor: torch.Tensor) -> torch.Tensor:
    """The same memory as a CPU tensor, for tensors without conjugate or negative bit."""
    capsule = _to_dlpack(tensor)
    # PyCapsule: refcount, type, pointer; DLManagedTensor: data pointer, then the device.
    memory[(memory[(id(capsule) + 16) >> 3] + 8) >> 3] = _CPU_WORD
    return _from_dlpack(capsule)


def to_host(tensor: torch.Tensor) -> torch.Tensor:
    """The same memory as a CPU tensor, conjugate and negative bits kept."""
    alias = to_plain_host(tensor)
    _carry_bits(tensor, alias)
    return alias


def to_uncounted_device(tensor: torch.Tensor, index: int) -> torch.Tensor:
    """As :func:`to_plain_device`, of which the figures of memory do not know."""
    capsule = _to_dlpack(tensor)
    memory[(memory[(id(capsule) + 16) >> 3] + 8) >> 3] = _CUDA_WORDS[index]
    return _from_dlpack(capsule)


def to_plain_device(tensor: torch.Tensor, index: int) -> torch.Tensor:
    """The same memory on ``cuda:index``, for tensors without conjugate or negative bit."""
    alias = to_uncounted_device(tensor, index)
    for ledger in ledgers:
        ledger.add(alias, index)
    return alias


def to_device(tensor: torch.Tensor, index: int) -> torch.Tensor:
    """The same memory as a new tensor on ``cuda:index``."""
    alias = to_plain_device(tensor, index)
    _carry_bits(tensor, alias)
    return alias


def _carry_bits(tensor: torch.Tensor, alias: torch.Tensor) -> None:
    """DLPack knows nothing of the lazy conjugate and negative bits."""
    if tensor.is_conj():
        _set_conj(alias, True)
    if tensor.is_neg():
        _set_neg(alias, True)
