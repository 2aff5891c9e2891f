"""Storages of the simulated device: making, resizing, moving, cloning, saving and loading them.

torch constructs device storages in C; here they come from device tensors instead, so the copies go
through the dispatcher like every other one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import torch

from placeaudit.errors import SimulationError
from placeaudit.simulate.torch_cuda.devices import index_of
from placeaudit.simulate.torch_cuda.machine import memory
from placeaudit.simulate.torch_cuda.retag import ledgers

if TYPE_CHECKING:
    from placeaudit.simulate.torch_cuda.patches import Patches

__all__ = ["add_storages", "exchange_memory"]

Storage = torch.UntypedStorage

#: ``StorageImpl``: the data pointer, what deletes it and with what, the device, the size.
_DELETER, _CONTEXT, _DEVICE, _SIZE = 1, 2, 3, 4
_SEARCHED_WORDS: Final = 16


def _memory_words(storage: Any) -> tuple[int, ...]:
    """Word addresses of all that says where the memory of a storage is and how large.

    Raises:
        SimulationError: this torch lays storages out unknown to us.
    """
    start = storage._cdata >> 3
    for word in range(start + 1, start + _SEARCHED_WORDS):
        if memory[word] == storage.data_ptr() and memory[word + _SIZE] == storage.nbytes():
            return word, word + _DELETER, word + _CONTEXT, word + _SIZE
    raise SimulationError(f"this torch ({torch.__version__}) lays storages out unknown to us")


def exchange_memory(one: Any, other: Any) -> None:
    """Give each of two storages of a device the other's memory: tensors on them follow."""
    for ledger in ledgers:
        ledger.forget(one)
        ledger.forget(other)
    for first, second in zip(_memory_words(one), _memory_words(other), strict=True):
        memory[first], memory[second] = memory[second], memory[first]
    for ledger in ledgers:
        ledger.add(_bytes_of(one), one.device.index)
        ledger.add(_bytes_of(other), other.device.index)


def _resize(storage: Any, size: int) -> None:
    """``storage.resize_``: new memory, and as much of the old contents as fits."""
    fresh = torch.empty(size, dtype=torch.uint8, device=storage.device)
    kept = min(size, storage.nbytes())
    if kept:
        fresh[:kept].copy_(_bytes_of(storage)[:kept])
    exchange_memory(storage, fresh.untyped_storage())


def _make(cls: Any, *args: Any, device: Any = None, **options: Any) -> Any:
    """``torch.UntypedStorage(...)``: the constructor in C knows no device of ours."""
    wanted = None if device is None else torch.device(device)
    if wanted is None or wanted.type != "cuda":
        if device is not None:
            options["device"] = device
        return torch._C.StorageBase.__new__(cls, *args, **options)
    wanted = torch.device("cuda", index_of(wanted))
    contents = args[0] if args else options.get("size", 0)
    if isinstance(contents, int):
        return torch.empty(contents, dtype=torch.uint8, device=wanted).untyped_storage()
    return _moved(cls(contents), wanted, non_blocking=False)


def _bytes_of(storage: Any) -> torch.Tensor:
    tensor = torch.empty(0, dtype=torch.uint8, device=storage.device)
    return tensor.set_(storage)


def _moved(storage: Any, device: torch.device, *, non_blocking: bool) -> Any:
    fresh = torch.empty(storage.nbytes(), dtype=torch.uint8, device=device)
    fresh.copy_(_bytes_of(storage), non_blocking=non_blocking)
    return fresh.untyped_storage()


def add_storages(patches: Patches) -> None:
    """Patch the storage methods that would construct a device storage in C."""
    base: Any = torch.storage._StorageBase
    plain_to, plain_clone = base.to, base.clone

    def to(self: Any, *, device: Any, non_blocking: bool = False) -> Any:
        wanted = torch.device(device)
        if wanted == torch.device("cuda"):
            wanted = torch.device("cuda", torch.cuda.current_device())
        if wanted.type != "cuda":
            return plain_to(self, device=wanted, non_blocking=non_blocking)
        if self.device == wanted:
            return self
        return _moved(self, wanted, non_blocking=non_blocking)

    def clone(self: Any) -> Any:
        if self.device.type != "cuda":
            return plain_clone(self)
        return _bytes_of(self).clone().untyped_storage()

    plain_resize, plain_resizable = Storage.resize_, Storage.resizable

    def resize_(self: Any, size: int) -> Any:
        if self.device.type != "cuda":
            return plain_resize(self, size)
        _resize(self, size)
        return self

    def resizable(self: Any) -> bool:
        return self.device.type == "cuda" or plain_resizable(self)

    patches.set(Storage, "__new__", staticmethod(_make))
    patches.set(Storage, "resize_", resize_)
    patches.set(Storage, "resizable", resizable)
    patches.set(base, "to", to)
    patches.set(base, "clone", clone)
