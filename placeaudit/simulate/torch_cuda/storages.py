"""Storages of the simulated device: moving, cloning, saving and loading them.

torch constructs device storages in C; here they come from device tensors instead, so the copies go
through the dispatcher like every other one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from placeaudit.simulate.torch_cuda.patches import Patches

__all__ = ["add_storages"]

Storage = torch.UntypedStorage


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

    patches.set(base, "to", to)
    patches.set(base, "clone", clone)
