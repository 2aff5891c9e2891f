"""Memory figures of the simulated devices: what storages live, as the caching allocator counts.

Block sizes are rounded up to 512 bytes and reservations to 2 MiB, the granularities of
``c10/cuda/CUDACachingAllocator.cpp`` (``kMinBlockSize``, ``kSmallBuffer``); fragmentation is not
modelled.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, Final

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Ledger"]

_BLOCK: Final = 512
_SEGMENT: Final = 2 << 20


class _Held(weakref.ref["torch.UntypedStorage"]):
    """A live storage: fires when the memory really goes, not when a Python name does."""

    __slots__ = ("index", "size")
    index: int
    size: int


class Ledger:
    """Live bytes and peaks of each device."""

    def __init__(self, count: int, memory_bytes: int) -> None:
        self.memory_bytes = memory_bytes
        self._limit = [memory_bytes] * count
        self._live: set[_Held] = set()
        self._current = [0] * count
        self._peak = [0] * count
        self._reserved = [0] * count
        self._peak_reserved = [0] * count
        self._allocated = [0] * count
        self._blocks = [0] * count
        self._release = self._make_release()

    def _make_release(self) -> Callable[[_Held], None]:
        live, current, blocks = self._live, self._current, self._blocks

        def release(held: Any) -> None:
            live.discard(held)
            current[held.index] -= held.size
            blocks[held.index] -= 1

        return release

    def require(self, size: int, index: int) -> None:
        """Make sure that ``size`` bytes are free before the host is asked for them.

        Raises:
            torch.OutOfMemoryError: the device would not have that much memory.
        """
        if self._current[index] + size > self._limit[index]:
            raise torch.OutOfMemoryError(self._full(index, size))

    def add(self, tensor: torch.Tensor, index: int) -> None:
        """Count the storage of a new device tensor.

        Raises:
            torch.OutOfMemoryError: the device would not have that much memory.
        """
        storage = tensor.untyped_storage()
        size = (storage.nbytes() + _BLOCK - 1) & -_BLOCK
        if size == 0:
            return
        current = self._current[index] + size
        if current > self._limit[index]:
            raise torch.OutOfMemoryError(self._full(index, size))
        held = _Held(storage, self._release)
        held.index = index
        held.size = size
        self._live.add(held)
        self._current[index] = current
        self._allocated[index] += size
        self._blocks[index] += 1
        if current > self._peak[index]:
            self._peak[index] = current
            if current > self._reserved[index]:
                self._reserve(index, current)

    def _reserve(self, index: int, size: int) -> None:
        self._reserved[index] = (size + _SEGMENT - 1) // _SEGMENT * _SEGMENT
        self._peak_reserved[index] = max(self._peak_reserved[index], self._reserved[index])

    def _full(self, index: int, size: int) -> str:
        gib = 1 << 30
        total, used = self.memory_bytes, self._current[index]
        return (
            f"CUDA out of memory. Tried to allocate {size / gib:.2f} GiB. GPU {index} has a total "
            f"capacity of {total / gib:.2f} GiB of which {(total - used) / gib:.2f} GiB is free."
        )

    def set_fraction(self, fraction: float, index: int) -> None:
        """Let the process have no more than this share of a device."""
        self._limit[index] = int(fraction * self.memory_bytes)

    def fraction(self, index: int) -> float:
        """The share of a device that the process may have."""
        return self._limit[index] / self.memory_bytes

    def stats(self, index: int) -> dict[str, Any]:
        """As ``torch._C._cuda_memoryStats``: nested, with the keys that ``torch.cuda`` reads."""

        def pools(current: int, peak: int, total: int) -> dict[str, dict[str, int]]:
            freed = total - current
            figures = {"current": current, "peak": peak, "allocated": total, "freed": freed}
            nothing = dict.fromkeys(figures, 0)
            return {"all": figures, "small_pool": nothing, "large_pool": dict(nothing)}

        current, peak = self._current[index], self._peak[index]
        reserved, peak_reserved = self._reserved[index], self._peak_reserved[index]
        allocated, blocks = self._allocated[index], self._blocks[index]
        return {
            "allocated_bytes": pools(current, peak, allocated),
            "active_bytes": pools(current, peak, allocated),
            "requested_bytes": pools(current, peak, allocated),
            "reserved_bytes": pools(reserved, peak_reserved, peak_reserved),
            "inactive_split_bytes": pools(0, 0, 0),
            "allocation": pools(blocks, blocks, blocks),
            "active": pools(blocks, blocks, blocks),
            "segment": pools(reserved // _SEGMENT, peak_reserved // _SEGMENT, 0),
            "inactive_split": pools(0, 0, 0),
            "oversize_allocations": pools(0, 0, 0)["all"],
            "oversize_segments": pools(0, 0, 0)["all"],
            "num_alloc_retries": 0,
            "num_ooms": 0,
            "num_sync_all_streams": 0,
            "num_device_alloc": 0,
            "num_device_free": 0,
            "max_split_size": -1,
        }

    def reset_peak(self, index: int) -> None:
        """Peaks start again from what lives now."""
        self._peak[index] = self._current[index]
        self._peak_reserved[index] = self._reserved[index]

    def reset_accumulated(self, index: int) -> None:
        """Totals start again from what lives now."""
        self._allocated[index] = self._current[index]

    def release_unused(self) -> None:
        """``empty_cache``: reservations shrink to what lives."""
        for index, current in enumerate(self._current):
            self._reserved[index] = (current + _SEGMENT - 1) // _SEGMENT * _SEGMENT

    def free_and_total(self, index: int) -> tuple[int, int]:
        """As ``cudaMemGetInfo``, bytes."""
        return self.memory_bytes - self._reserved[index], self.memory_bytes
