"""Memory figures of the simulated devices: what storages live, as the caching allocator counts.

Blocks are rounded up to 512 bytes, those of up to 1 MiB belong to the small pool, and each pool
reserves in steps of 2 MiB: the granularities of ``c10/cuda/CUDACachingAllocator.cpp``
(``kMinBlockSize``, ``kSmallSize``, ``kSmallBuffer``); fragmentation is not modelled.  Peaks of
counts and of requested bytes are those of the moment at which the allocated bytes were at theirs.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, Final

import torch

from placeaudit.simulate.torch_cuda.cuda_build import cuda_build

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Ledger", "segment_bytes"]

_BLOCK: Final = 512
_SMALL: Final = 1 << 20
_SEGMENT: Final = 2 << 20
#: Requests below 10 MiB that are not small share segments of 20 MiB (``kLargeBuffer``).
_LARGE: Final = 20 << 20
_OWN_SEGMENT: Final = 10 << 20
#: So many dead storages are accounted for at the latest.
_MANY: Final = 1000
_POOLS: Final = ("small_pool", "large_pool")
_UNITS: Final = (("bytes", 0), ("KiB", 10), ("MiB", 20), ("GiB", 30))


class _Held(weakref.ref["torch.UntypedStorage"]):
    """A live storage: fires when the memory really goes, not when a Python name does."""

    __slots__ = ("requested", "slot")
    #: Twice the device's index, one more for its large pool.
    slot: int
    requested: int


class _Pool:
    """Figures of one pool of one device: bytes, blocks, and the bytes asked for before rounding."""

    __slots__ = (
        "asked", "before", "blocks", "freed", "freed_asked", "freed_blocks", "peak", "peak_asked",
        "peak_blocks", "peak_reserved", "released", "reserved", "size",
    )  # fmt: skip

    def __init__(self) -> None:
        self.size = self.blocks = self.asked = 0
        self.freed = self.freed_blocks = self.freed_asked = 0
        self.peak = self.peak_blocks = self.peak_asked = 0
        self.reserved = self.peak_reserved = self.released = 0
        #: Size, blocks, bytes asked for and reserved bytes when the totals began.
        self.before = (0, 0, 0, 0)

    def reserve(self) -> None:
        """Hold as much as there is now, in whole segments."""
        self.reserved = -(-self.size // _SEGMENT) * _SEGMENT
        self.peak_reserved = max(self.peak_reserved, self.reserved)

    def shrink(self) -> None:
        """Give back what is not used."""
        kept = -(-self.size // _SEGMENT) * _SEGMENT
        self.released += self.reserved - kept
        self.reserved = kept

    def note_peak(self) -> None:
        """The device holds more than ever before."""
        self.peak_blocks, self.peak_asked = self.blocks, self.asked

    def reset_peak(self) -> None:
        """Peaks start again from what lives now."""
        self.peak, self.peak_reserved = self.size, self.reserved
        self.note_peak()

    def reset_accumulated(self) -> None:
        """Totals start again from nothing: what lives does not count as allocated any more."""
        self.freed = self.freed_blocks = self.freed_asked = self.released = 0
        self.before = (self.size, self.blocks, self.asked, self.reserved)


def segment_bytes(size: int) -> int:
    """What is asked of the device for a block of ``size``: ``get_allocation_size``."""
    if size <= _SMALL:
        return _SEGMENT
    if size < _OWN_SEGMENT:
        return _LARGE
    return -(-size // _SEGMENT) * _SEGMENT


def _format_size(size: int) -> str:
    """As ``format_size`` of the allocator: 1024 is still bytes."""
    if size <= 1 << 10:
        return f"{size} bytes"
    unit, shift = next((pair for pair in _UNITS[1:] if size <= 1 << (pair[1] + 10)), _UNITS[-1])
    return f"{size / (1 << shift):.2f} {unit}"


_Row = tuple[int, int, int, int]


def _figures(current: int, peak: int, freed: int, before: int) -> dict[str, int]:
    """``before`` is what lived already when the totals began."""
    allocated = current + freed - before
    return {"current": current, "peak": peak, "allocated": allocated, "freed": freed}


def _pooled(rows: list[_Row], peak: int) -> dict[str, dict[str, int]]:
    """(current, peak, freed, before) of the small pool and of the large, and of both together."""
    both = _figures(sum(row[0] for row in rows), peak, *(sum(r[i] for r in rows) for i in (2, 3)))
    return {"all": both, **{name: _figures(*row) for name, row in zip(_POOLS, rows, strict=True)}}


class Ledger:
    """Live bytes and peaks of each device."""

    def __init__(self, count: int, memory_bytes: int) -> None:
        self.memory_bytes = memory_bytes
        self._limit = [memory_bytes] * count
        self._has_fraction = [False] * count
        self._live: set[_Held] = set()
        self._current = [0] * count
        self._peak = [0] * count
        #: The lesser of peak and limit: up to here nothing new can happen.
        self._watched = [0] * count
        #: The small and the large pool of each device in turn.
        self._pools = [_Pool() for _ in range(2 * count)]
        self._ooms = [0] * count
        self.observers: list[Callable[[int, int, int, int], object]] = []
        #: Storages that died since the last look, in any thread: nothing but an append happens
        #: when one does.
        self._dead: list[_Held] = []
        self._release = self._dead.append

    def _settle(self) -> None:
        """Account for what has died."""
        dead, live, current, pools = self._dead, self._live, self._current, self._pools
        while dead:
            held = dead.pop()
            live.discard(held)
            slot, requested = held.slot, held.requested
            size = (requested + _BLOCK - 1) & -_BLOCK
            current[slot >> 1] -= size
            pool = pools[slot]
            pool.size -= size
            pool.freed += size
            pool.blocks -= 1
            pool.freed_blocks += 1
            pool.asked -= requested
            pool.freed_asked += requested

    def require(self, size: int, index: int) -> None:
        """Make sure that ``size`` bytes are free before the host is asked for them.

        Raises:
            torch.OutOfMemoryError: the device would not have that much memory.
        """
        if self._current[index] + size > self._limit[index]:
            self._settle()
            if self._current[index] + size > self._limit[index]:
                raise self._full(index, size)

    def add(self, tensor: torch.Tensor, index: int) -> None:
        """Count the storage of a new device tensor.

        Raises:
            torch.OutOfMemoryError: the device would not have that much memory.
        """
        storage = tensor.untyped_storage()
        requested = storage.nbytes()
        if requested == 0:
            return
        size = (requested + _BLOCK - 1) & -_BLOCK
        slot = 2 * index + (size > _SMALL)
        pool = self._pools[slot]
        current, pooled = self._current[index] + size, pool.size + size
        if current > self._watched[index] or pooled > pool.peak or len(self._dead) > _MANY:
            # Only now does it matter what has died: without it there is nothing new.
            self._settle()
            current, pooled = self._current[index] + size, pool.size + size
            if current > self._limit[index]:
                raise self._full(index, size)
        held = _Held(storage, self._release)
        held.slot = slot
        held.requested = requested
        self._live.add(held)
        self._current[index] = current
        pool.size = pooled
        pool.blocks += 1
        pool.asked += requested
        if pooled > pool.peak:
            pool.peak = pooled
            if pooled > pool.reserved:
                pool.reserve()
        if current > self._peak[index]:
            self._peak[index] = current
            self._watched[index] = min(current, self._limit[index])
            for part in self._of(index):
                part.note_peak()

    def _of(self, index: int) -> list[_Pool]:
        return self._pools[2 * index : 2 * index + 2]

    def forget(self, storage: torch.UntypedStorage) -> None:
        """The memory of a living storage is about to be freed or exchanged."""
        for held in weakref.getweakrefs(storage):
            if isinstance(held, _Held) and held in self._live:
                self._dead.append(held)
        self._settle()

    def _full(self, index: int, size: int) -> torch.OutOfMemoryError:
        """Unused reservations go back first, as there; then the allocator's words."""
        self.release_unused()
        self._ooms[index] += 1
        free, total = self.free_and_total(index)
        build, wanted = cuda_build(), segment_bytes(size)
        for observer in self.observers:
            observer(index, wanted, total, free)
        allocated, reserved = self._current[index], total - free
        allowed = f"{_format_size(self._limit[index])} allowed; "
        return torch.OutOfMemoryError(
            f"CUDA out of memory. Tried to allocate {_format_size(wanted)}. GPU {index} has a "
            f"total capacity of {_format_size(total)} of which {_format_size(free)} is free. "
            f"Including non-PyTorch memory, this process has {_format_size(reserved)} memory in "
            f"use. {allowed if self._has_fraction[index] else ''}Of the allocated memory "
            f"{_format_size(allocated)} is allocated by PyTorch, and "
            f"{_format_size(reserved - allocated)} is reserved by PyTorch but unallocated. If "
            "reserved but unallocated memory is large try setting "
            f"{build.allocator_variable}=expandable_segments:True to avoid fragmentation.  See "
            "documentation for Memory Management  (https://"
            f"{'' if build.allocator_anchor == 'environment-variables' else 'docs.'}pytorch.org/"
            f"docs/stable/notes/cuda.html#{build.allocator_anchor})"
        )

    def set_fraction(self, fraction: float, index: int) -> None:
        """Let the process have no more than this share of a device."""
        self._limit[index] = int(fraction * self.memory_bytes)
        self._watched[index] = min(self._peak[index], self._limit[index])
        self._has_fraction[index] = True

    def fraction(self, index: int) -> float:
        """The share of a device that the process may have."""
        return self._limit[index] / self.memory_bytes

    def stats(self, index: int) -> dict[str, Any]:
        """As ``torch._C._cuda_memoryStats``: nested, with every key that it has."""
        self._settle()
        pools = self._of(index)
        rows = [(p.size, p.peak, p.freed, p.before[0]) for p in pools]
        allocated = _pooled(rows, self._peak[index])
        rows = [(p.blocks, p.peak_blocks, p.freed_blocks, p.before[1]) for p in pools]
        counts = _pooled(rows, sum(row[1] for row in rows))
        rows = [(p.asked, p.peak_asked, p.freed_asked, p.before[2]) for p in pools]
        asked = _pooled(rows, sum(row[1] for row in rows))
        rows = [(p.reserved, p.peak_reserved, p.released, p.before[3]) for p in pools]
        reserved = _pooled(rows, sum(row[1] for row in rows))
        rows = [(a // _SEGMENT, b // _SEGMENT, c // _SEGMENT, d // _SEGMENT) for a, b, c, d in rows]
        segments = _pooled(rows, sum(row[1] for row in rows))
        nothing = _pooled([(0, 0, 0, 0)] * 2, 0)
        return {
            "num_alloc_retries": self._ooms[index],
            "num_ooms": self._ooms[index],
            "num_oom_rejections": 0,
            "max_split_size": -1,
            "num_sync_all_streams": 0,
            "num_device_alloc": segments["all"]["allocated"],
            "num_device_free": segments["all"]["freed"],
            "allocated_bytes": allocated,
            "reserved_bytes": reserved,
            "active_bytes": allocated,
            "inactive_split_bytes": nothing,
            "requested_bytes": asked,
            "allocation": counts,
            "segment": segments,
            "active": counts,
            "inactive_split": nothing,
            "oversize_allocations": nothing["all"],
            "oversize_segments": nothing["all"],
            "reserved_bytes_by_private_pools": {},
        }

    def blocks(self, index: int) -> Iterator[tuple[int, int, int, bool]]:
        """(address, size, requested size, is large) of every live block of a device."""
        for held in tuple(self._live):
            storage = held()
            if storage is not None and held.slot >> 1 == index:
                size = (held.requested + _BLOCK - 1) & -_BLOCK
                yield storage.data_ptr(), size, held.requested, bool(held.slot % 2)

    def reset_peak(self, index: int) -> None:
        """Peaks start again from what lives now."""
        self._settle()
        self._peak[index] = self._current[index]
        self._watched[index] = min(self._peak[index], self._limit[index])
        for pool in self._of(index):
            pool.reset_peak()

    def reset_accumulated(self, index: int) -> None:
        """Totals start again from nothing."""
        self._settle()
        self._ooms[index] = 0
        for pool in self._of(index):
            pool.reset_accumulated()

    def release_unused(self) -> None:
        """``empty_cache``: reservations shrink to what lives."""
        self._settle()
        for pool in self._pools:
            pool.shrink()

    def free_and_total(self, index: int) -> tuple[int, int]:
        """As ``cudaMemGetInfo``, bytes."""
        reserved = sum(pool.reserved for pool in self._of(index))
        return max(self.memory_bytes - reserved, 0), self.memory_bytes
