"""Content identity: which storage a tensor lives in, and a hash of what the host side holds.

Nothing here goes through PyTorch's dispatcher, except for small strided tensors: the recorder is
called from within it.
"""

from __future__ import annotations

import collections
import ctypes
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import xxhash

from placeaudit.crossing import is_dense
from placeaudit.model import HashKind

if TYPE_CHECKING:
    import torch

__all__ = [
    "FULL_BYTES",
    "Birth",
    "Held",
    "HeldDownloads",
    "StorageTable",
    "hash_bytes",
    "hash_host",
]

#: Up to this size the whole content is hashed (at memory speed: at most about 0.1 ms).
FULL_BYTES: Final = 1 << 20
#: Above, this many blocks of this size, evenly spaced, the first and last bytes among them: the
#: cost stays that of 256 KiB whatever the size.  A change between blocks goes unseen, which is
#: why such a hash is marked SAMPLED and proves nothing alone.
SAMPLE_BLOCKS: Final = 256
SAMPLE_BLOCK_BYTES: Final = 1024
#: Below this size one copy of the bytes is cheaper than a view of them.
_COPY_BYTES: Final = 4096
#: A storage is looked at again for whether it still lives once the table has doubled, from here on.
_SWEEP_FROM: Final = 2048
#: Storages known at one time; of a program with more live ones the oldest are forgotten.
MAX_STORAGES: Final = 1 << 16

_NONE: Final = (0, int(HashKind.NONE))


def hash_bytes(address: int, size: int, seed: int = 0) -> tuple[int, int]:
    """``(xxh3_64, HashKind)`` of ``size`` bytes at ``address``; 0 is never a hash."""
    if size <= 0:
        return _NONE
    if size <= FULL_BYTES:
        data: Any
        if size <= _COPY_BYTES:
            data = ctypes.string_at(address, size)
        else:
            data = (ctypes.c_char * size).from_address(address)
        return xxhash.xxh3_64_intdigest(data, seed) or 1, int(HashKind.FULL)
    memory: Any = (ctypes.c_char * size).from_address(address)
    step = (size - SAMPLE_BLOCK_BYTES) // (SAMPLE_BLOCKS - 1)
    blocks: np.ndarray[Any, np.dtype[np.uint8]] = np.ndarray(
        (SAMPLE_BLOCKS, SAMPLE_BLOCK_BYTES), np.uint8, memory, 0, (step, 1)
    )
    tail = ctypes.string_at(address + size - SAMPLE_BLOCK_BYTES, SAMPLE_BLOCK_BYTES)
    digest = xxhash.xxh3_64_intdigest(blocks.tobytes() + tail, seed ^ size)
    return digest or 1, int(HashKind.SAMPLED)


def hash_host(tensor: torch.Tensor) -> tuple[int, int]:
    """``(hash, HashKind)`` of a host tensor's content, ``(0, NONE)`` where it costs too much.

    A contiguous tensor is hashed where it lies.  A dense one in another order of dimensions too,
    with its strides as seed, so that a matrix and its transpose differ.  Another strided one is
    hashed through a contiguous copy up to :data:`FULL_BYTES`.
    """
    if tensor.is_conj() or tensor.is_neg():
        return _NONE  # the bytes in memory are not the values
    if tensor.is_contiguous():
        return hash_bytes(tensor.data_ptr(), tensor.nbytes)
    if is_dense(tensor):
        seed = xxhash.xxh3_64_intdigest(repr(tensor.stride()).encode())
        return hash_bytes(tensor.data_ptr(), tensor.nbytes, seed)
    if tensor.nbytes <= FULL_BYTES:
        packed = tensor.detach().contiguous()
        return hash_bytes(packed.data_ptr(), packed.nbytes)
    return _NONE


@dataclass(slots=True)
class Birth:
    """The call that made or loaded a host storage; ``number`` is its row in ``births`` or -1."""

    time_ns: int
    stack: int
    thread: int
    number: int = -1
    #: "factory" or "load".
    kind: str = "factory"


class StorageTable:
    """Unique numbers for storages, although PyTorch reuses their addresses.

    A known storage is held weakly: its memory goes when the program drops it, but the small
    ``StorageImpl`` stays until the table has seen its end, so no other gets its address meanwhile.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers: dict[int, int] = {}
        self._births: dict[int, Birth] = {}
        self._next = 0
        self._sweep_at = _SWEEP_FROM
        self._bind()

    def _bind(self) -> None:
        import torch

        self._address_of: Any = torch._C._storage_id  # type: ignore[attr-defined]  # noqa: SLF001
        self._storage_type = torch.UntypedStorage

    def __len__(self) -> int:
        return len(self._numbers)

    def number(self, tensor: torch.Tensor) -> int:
        """The number of ``tensor``'s storage; -1 for a tensor without one."""
        try:
            address = self._address_of(tensor)
        except (RuntimeError, NotImplementedError):
            return -1
        known = self._numbers.get(address)
        return known if known is not None else self._add(tensor, address)

    def reserve(self) -> int:
        """A number for a storage that is known by its address only (the operation window)."""
        with self._lock:
            number = self._next
            self._next += 1
            return number

    def born(self, tensor: torch.Tensor, birth: Birth) -> None:
        """Remember the factory call that made ``tensor``."""
        number = self.number(tensor)
        if number >= 0:
            self._births[number] = birth

    def birth(self, number: int) -> Birth | None:
        """The factory call that made storage ``number``, if one did."""
        return self._births.get(number)

    def hold(self, tensor: torch.Tensor) -> int:
        """The address by which :meth:`alive` finds the storage again."""
        self.number(tensor)
        return int(self._address_of(tensor))

    def alive(self, address: int, number: int) -> object | None:
        """A strong reference to storage ``number`` at ``address``, None if it is gone."""
        with self._lock:
            if self._numbers.get(address) != number:
                return None
            storage: Any = self._storage_type
            found: object | None = storage._new_with_weak_ptr(address)  # noqa: SLF001
            return found

    def after_fork(self) -> None:
        """In a forked child: another thread may have held the lock; births are the parent's."""
        self._lock = threading.Lock()
        self._births.clear()

    def clear(self) -> None:
        """Let go of every storage."""
        with self._lock:
            for address in list(self._numbers):
                self._drop(address)

    def _add(self, tensor: torch.Tensor, address: int) -> int:
        with self._lock:
            known = self._numbers.get(address)
            if known is not None:
                return known
            if len(self._numbers) >= self._sweep_at:
                self._sweep()
            tensor.untyped_storage()._weak_ref()  # noqa: SLF001
            number = self._numbers[address] = self._next
            self._next += 1
            return number

    def _sweep(self) -> None:
        expired = self._storage_type._expired  # noqa: SLF001
        for address in [a for a in self._numbers if expired(a)]:
            self._drop(address)
        if len(self._numbers) > MAX_STORAGES * 3 // 4:
            # A quarter at a time: looking through all of them has its price.
            for address in list(self._numbers)[: len(self._numbers) - MAX_STORAGES * 3 // 4]:
                self._drop(address)
        self._sweep_at = min(MAX_STORAGES, max(_SWEEP_FROM, 2 * len(self._numbers)))

    def _drop(self, address: int) -> None:
        number = self._numbers.pop(address)
        self._births.pop(number, None)
        self._storage_type._free_weak_ref(address)  # noqa: SLF001


@dataclass(slots=True)
class Held:
    """A row of ``copies`` whose hash waits for the end of an unfinished download."""

    row: list[object]
    thread: int
    device: int
    address: int
    storage: int
    pointer: int
    size: int
    since_ns: int


class HeldDownloads:
    """Downloads nobody has waited for yet: their host side may hold anything so far."""

    #: Rows held at one time; the oldest go out without a hash.
    LIMIT: Final = 64
    #: A row is held no longer than this, so that a killed process loses little.
    LIMIT_NS: Final = 1_000_000_000

    def __init__(self, storages: StorageTable, out: list[tuple[object, ...]], column: int) -> None:
        self._storages = storages
        self._out = out
        self._column = column
        self._held: collections.deque[Held] = collections.deque()

    def __len__(self) -> int:
        return len(self._held)

    def hold(self, held: Held) -> None:
        """Keep ``held`` back until its thread waits for its device."""
        self._held.append(held)
        if len(self._held) > self.LIMIT:
            self._release(self._held.popleft(), finished=False)

    def finished(self, thread: int, device: int) -> None:
        """``thread`` has waited for ``device`` (-1: every device)."""
        for _ in range(len(self._held)):
            try:
                held = self._held.popleft()
            except IndexError:
                return
            if held.thread == thread and device in {-1, held.device}:
                self._release(held, finished=True)
            else:
                self._held.append(held)

    def expire(self, now_ns: int) -> None:
        """Give out, without a hash, what has been held for too long by ``now_ns``."""
        for _ in range(len(self._held)):
            try:
                held = self._held.popleft()
            except IndexError:  # another thread was first
                return
            if now_ns - held.since_ns <= self.LIMIT_NS:
                self._held.appendleft(held)
                return
            self._release(held, finished=False)

    def release(self) -> None:
        """Give everything out: the program ends."""
        while self._held:
            self._release(self._held.popleft(), finished=False)

    def forget(self) -> None:
        """In a forked child: the rows are the parent's."""
        self._held.clear()

    def _release(self, held: Held, *, finished: bool) -> None:
        if finished:
            storage = self._storages.alive(held.address, held.storage)
            if storage is not None:
                found = hash_bytes(held.pointer, held.size)
                held.row[self._column : self._column + 2] = found
        self._out.append(tuple(held.row))
