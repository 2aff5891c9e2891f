"""Device tensors that several processes see: what CUDA IPC is to a GPU, shared memory is here.

``torch.multiprocessing`` asks a storage for a handle and the receiver makes a storage of it.  On a
GPU the memory is the driver's and can be shared as it is; here the storage that is to be shared is
first given memory that can be: every tensor on it follows.  The memory is an anonymous file
(``memfd_create``), which nothing leaves behind, not even a killed process.  The sender keeps it
until it was received, as PyTorch keeps device memory (``torch/csrc/CudaIPCTypes.cpp``).
"""

from __future__ import annotations

import fcntl
import itertools
import os
import weakref
from typing import TYPE_CHECKING, Any, Final

import torch

from placeaudit.simulate.torch_cuda.devices import index_of
from placeaudit.simulate.torch_cuda.retag import to_plain_device, to_plain_host
from placeaudit.simulate.torch_cuda.storages import exchange_memory

if TYPE_CHECKING:
    from placeaudit.simulate.torch_cuda.patches import Patches

__all__ = ["add_sharing"]

_WORD: Final = 8
_numbers: Final = itertools.count()

#: Storages by address: shared by this process, and received from another one.
_shared: Final[dict[int, _Memory]] = {}
_received: Final[set[int]] = set()
#: Memory whose storage is gone and that somebody has yet to receive.
_limbo: Final[list[_Memory]] = []


class _Memory:
    """Memory with a name that other processes can open; behind it, how many have yet to."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._descriptor = os.memfd_create(f"cuda-ipc-{next(_numbers)}")
        os.ftruncate(self._descriptor, _counter_at(size) + _WORD)
        self._process = os.getpid()
        self.handle = f"/proc/{self._process}/fd/{self._descriptor}".encode()

    def send(self) -> None:
        """One more process is to receive it."""
        _count(self._descriptor, self.size, 1)

    def is_awaited(self) -> bool:
        """Whether somebody has yet to receive it."""
        return _count(self._descriptor, self.size, 0) > 0

    def close(self) -> None:
        """Let nobody receive it any more; who has it keeps it."""
        if os.getpid() == self._process:
            os.close(self._descriptor)


def _counter_at(size: int) -> int:
    return (size + _WORD - 1) // _WORD * _WORD


def _count(descriptor: int, size: int, change: int) -> int:
    """Change how many have yet to receive a memory; the number from now on."""
    at = _counter_at(size)
    fcntl.lockf(descriptor, fcntl.LOCK_EX)
    try:
        number = int.from_bytes(os.pread(descriptor, _WORD, at), "little") + change
        os.pwrite(descriptor, max(number, 0).to_bytes(_WORD, "little"), at)
    finally:
        fcntl.lockf(descriptor, fcntl.LOCK_UN)
    return number


def _map(path: str, size: int) -> torch.Tensor:
    return torch.from_file(path, shared=True, size=size, dtype=torch.uint8, device="cpu")


def _collect() -> None:
    """``torch.cuda.ipc_collect``: give up memory that everybody has received."""
    for memory in [memory for memory in _limbo if not memory.is_awaited()]:
        _limbo.remove(memory)
        memory.close()


def _forget(address: int) -> None:
    memory = _shared.pop(address)
    _limbo.append(memory)
    _collect()


def _make_shared(storage: Any) -> _Memory:
    """Give a storage memory that can be shared, with the bytes it holds."""
    memory = _Memory(storage.nbytes())
    mapped = _map(os.fsdecode(memory.handle), memory.size)
    on_device = torch.empty(0, dtype=torch.uint8, device=storage.device).set_(storage)
    mapped.copy_(to_plain_host(on_device))
    exchange_memory(storage, to_plain_device(mapped, storage.device.index).untyped_storage())
    return memory


#: device, handle, size, offset, counter's handle and offset, event's handle, whether to wait for it
_Handle = tuple[int, bytes | None, int, int, bytes, int, bytes, bool]


def _share(storage: Any) -> _Handle:
    """``_share_cuda_``: what another process needs to receive a storage.

    Raises:
        RuntimeError: this process received it itself, in PyTorch's words.
    """
    address, index = storage._cdata, storage.device.index
    if address in _received:
        message = (
            "Attempted to send CUDA tensor received from another process; this is not currently "
            "supported. Consider cloning before sending."
        )
        raise RuntimeError(message)
    if not storage.nbytes():
        return index, None, 0, 0, b"", 0, b"", False
    _collect()
    memory = _shared.get(address)
    if memory is None:
        memory = _shared[address] = _make_shared(storage)
        weakref.finalize(storage, _forget, address).atexit = False
    memory.send()
    return index, memory.handle, memory.size, 0, memory.handle, 0, b"", False


def _open(path: str, size: int) -> torch.Tensor:
    """Map a memory and say that it was received."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except OSError:
        message = "CUDA error: invalid resource handle\n"
        raise torch.AcceleratorError(message) from None  # type: ignore[attr-defined, unused-ignore]
    try:
        mapped = _map(path, size)
        _count(descriptor, size, -1)
    finally:
        os.close(descriptor)
    return mapped


def _receive(device: int, handle: bytes, size: int, *rest: object) -> Any:
    """``_new_shared_cuda``: the storage that another process shares."""
    del rest
    mapped = _open(os.fsdecode(handle), size)
    storage = to_plain_device(mapped, index_of(torch.device("cuda", device))).untyped_storage()
    address = storage._cdata
    _received.add(address)
    weakref.finalize(storage, _received.discard, address).atexit = False
    return storage


def _release(handle: bytes, offset: int, *rest: object) -> None:
    """``_release_ipc_counter``: received again what is here already."""
    del offset, rest
    descriptor = os.open(os.fsdecode(handle), os.O_RDWR)
    try:
        size = os.fstat(descriptor).st_size - _WORD
        _count(descriptor, size, -1)
    finally:
        os.close(descriptor)


def add_sharing(patches: Patches) -> None:
    """Patch the storage methods that ``torch.multiprocessing`` calls."""
    storage: Any = torch.UntypedStorage
    patches.set(storage, "_share_cuda_", _share)
    patches.set(storage, "_new_shared_cuda", staticmethod(_receive))
    patches.set(storage, "_release_ipc_counter_cuda", staticmethod(_release))
    patches.set(torch._C, "_cuda_ipc_collect", _collect)
