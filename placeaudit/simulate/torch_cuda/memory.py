"""The caching allocator's surface: the functions of a CUDA build that ``torch.cuda.memory`` calls.

What is true of the simulated device is answered from the ledger; allocators and pools of the
program's own, and statistics of page-locked memory, are refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NoReturn

import torch

from placeaudit.simulate.torch_cuda.devices import check_index, current_index
from placeaudit.simulate.torch_cuda.errors import refuse
from placeaudit.simulate.torch_cuda.ledger import segment_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

    from placeaudit.simulate.torch_cuda.ledger import Ledger
    from placeaudit.simulate.torch_cuda.patches import Patches

__all__ = ["add_memory"]

#: ``CUDAAllocatorConfig`` as a process without ``PYTORCH_CUDA_ALLOC_CONF`` has it.
_SETTINGS: Final[dict[str, object]] = {
    "PYTORCH_CUDA_ALLOC_CONF": "",
    "max_split_size": -1,
    "garbage_collection_threshold": 0.0,
    "expandable_segments": False,
    "pinned_num_register_threads": 1,
    "release_lock_on_cudamalloc": False,
    "pinned_use_cuda_host_register": False,
    "graph_capture_record_stream_reuse": False,
    "max_round_threshold": -1,
    "max_cached_size": -1,
    "roundup_power2_divisions": {str(1 << power): 0 for power in range(16)},
}


def _nothing(*args: object, **kwargs: object) -> None:
    del args, kwargs


def _no_allocator(*args: object, **kwargs: object) -> NoReturn:
    del args, kwargs
    refuse(
        "an allocator of the program's own (CUDAPluggableAllocator, change_current_allocator)",
        "it would allocate with the driver; leave it out where the device is simulated",
    )


def _no_pool(*args: object, **kwargs: object) -> NoReturn:
    del args, kwargs
    refuse(
        "a private memory pool (torch.cuda.MemPool, use_mem_pool)",
        "all simulated device memory is the host's; allocate from the default pool",
    )


def _no_host_statistics(*args: object, **kwargs: object) -> NoReturn:
    del args, kwargs
    refuse(
        "the statistics of page-locked memory (torch.cuda.host_memory_stats)",
        "pinned tensors come from the host's own allocator, which does not count them",
    )


def _no_checkpoint(*args: object, **kwargs: object) -> NoReturn:
    del args, kwargs
    refuse(
        "a checkpoint of the allocator",
        "CUDA graphs alone use it; run without them where the device is simulated",
    )


class _Allocator:
    """State behind the functions that is not the ledger's."""

    def __init__(self, ledger: Ledger, count: int) -> None:
        self._ledger = ledger
        self._count = count
        self._is_caching = True
        self._has_history = False
        self._metadata = ""
        #: Memory without a tensor, by address.
        self._raw: dict[int, torch.Tensor] = {}

    def _on(self, function: Callable[[int], Any]) -> Callable[..., Any]:
        """``function`` of a device that is there, in the words of ``CUDACachingAllocator.cpp``."""

        def checked(index: int) -> Any:
            if not 0 <= index < self._count:
                # The index is streamed as the character that a DeviceIndex is.
                message = f"Invalid device argument {chr(index & 0x7F)}: did you call init?"
                raise RuntimeError(message)
            return function(index)

        return checked

    def information(self, index: int) -> tuple[int, int]:
        """Free and total bytes."""
        check_index(index)
        return self._ledger.free_and_total(index)

    def _set_fraction(self, fraction: float, index: int) -> None:
        check_index(index)
        self._ledger.set_fraction(fraction, index)

    def _allocate(self, size: int, stream: int) -> int:
        del stream
        tensor = torch.empty(size, dtype=torch.uint8, device=f"cuda:{current_index()}")
        self._raw[tensor.data_ptr()] = tensor
        return tensor.data_ptr()

    def _delete(self, address: int) -> None:
        if self._raw.pop(address, None) is None:
            message = f"invalid device pointer: {address:#x}"
            raise RuntimeError(message)

    def _enable(self, value: bool) -> None:
        self._is_caching = value

    def _record_history(self, enabled: object = None, *args: object, **kwargs: object) -> None:
        """Accepted; blocks are told without the place that allocated them."""
        del args, kwargs
        self._has_history = bool(enabled)

    def _set_metadata(self, value: str) -> None:
        self._metadata = value

    def _observe(self, observer: Callable[[int, int, int, int], object]) -> None:
        self._ledger.observers.append(observer)

    def _snapshot(self, *pool: object, **options: object) -> dict[str, Any]:
        """Segments of the live blocks, one each, and what is cached in one more."""
        del pool, options
        segments = [segment for index in range(self._count) for segment in self._segments(index)]
        return {
            "segments": segments,
            "device_traces": [[] for _ in range(self._count)],
            "allocator_settings": _SETTINGS,
            "external_annotations": [],
        }

    def _segments(self, index: int) -> list[dict[str, Any]]:
        blocks = sorted(self._ledger.blocks(index))
        return [
            {
                "device": index,
                "address": address,
                "total_size": segment_bytes(size),
                "allocated_size": size,
                "active_size": size,
                "requested_size": requested,
                "stream": 0,
                "segment_type": "large" if is_large else "small",
                "segment_pool_id": (0, 0),
                "is_expandable": False,
                "frames": [],
                "blocks": _blocks_of(address, size, requested),
            }
            for address, size, requested, is_large in blocks
        ]

    def functions(self) -> dict[str, object]:
        """Names in ``torch._C``."""
        ledger = self._ledger
        statistics = self._on(ledger.stats)
        shared = {
            "memoryStats": statistics,
            "resetPeakMemoryStats": self._on(ledger.reset_peak),
            "resetAccumulatedMemoryStats": self._on(ledger.reset_accumulated),
        }
        return {
            **{f"_cuda_{name}": function for name, function in shared.items()},
            "_cuda_emptyCache": ledger.release_unused,
            "_host_emptyCache": _nothing,
            "_cuda_setMemoryFraction": self._set_fraction,
            "_cuda_getMemoryFraction": self._on(ledger.fraction),
            "_cuda_memorySnapshot": self._snapshot,
            "_cuda_record_memory_history": self._record_history,
            "_cuda_record_memory_history_legacy": self._record_history,
            "_cuda_isHistoryEnabled": lambda: self._has_history,
            "_cuda_allocationTraceback": lambda _address: None,
            "_cuda_setMemoryMetadata": self._set_metadata,
            "_cuda_getMemoryMetadata": lambda: self._metadata,
            "_cuda_attach_out_of_memory_observer": self._observe,
            "_cuda_getAllocatorBackend": lambda: "native",
            "_cuda_cudaCachingAllocator_enable": self._enable,
            "_cuda_cudaCachingAllocator_is_enabled": lambda: self._is_caching,
            "_cuda_cudaCachingAllocator_raw_alloc": self._allocate,
            "_cuda_cudaCachingAllocator_raw_delete": self._delete,
            "_accelerator_isAllocatorInitialized": lambda: True,
            "_accelerator_emptyCache": ledger.release_unused,
            "_accelerator_emptyHostCache": _nothing,
            "_accelerator_getDeviceStats": statistics,
            "_accelerator_resetPeakStats": shared["resetPeakMemoryStats"],
            "_accelerator_resetAccumulatedStats": shared["resetAccumulatedMemoryStats"],
            "_accelerator_getMemoryInfo": self.information,
            **dict.fromkeys(
                (
                    "_cuda_customAllocator",
                    "_cuda_changeCurrentAllocator",
                    "_cuda_getAllocator",
                    "_cuda_cudaHostAllocator",
                ),
                _no_allocator,
            ),
            **dict.fromkeys(
                (
                    "_cuda_hostMemoryStats",
                    "_cuda_resetAccumulatedHostMemoryStats",
                    "_cuda_resetPeakHostMemoryStats",
                ),
                _no_host_statistics,
            ),
            **dict.fromkeys(
                (
                    "_cuda_getCheckpointState",
                    "_cuda_setCheckpointPoolState",
                    "_cuda_checkPoolLiveAllocations",
                ),
                _no_checkpoint,
            ),
            **dict.fromkeys(
                (
                    "_cuda_beginAllocateToPool",
                    "_cuda_beginAllocateCurrentThreadToPool",
                    "_cuda_beginAllocateCurrentStreamToPool",
                    "_cuda_endAllocateToPool",
                    "_cuda_releasePool",
                ),
                _no_pool,
            ),
        }


def _blocks_of(address: int, size: int, requested: int) -> list[dict[str, Any]]:
    """A live block and, where its segment is larger, what is left of that."""
    live = {
        "address": address,
        "size": size,
        "requested_size": requested,
        "state": "active_allocated",
        "frames": [],
    }
    rest = segment_bytes(size) - size
    if not rest:
        return [live]
    unused = {"address": address + size, "size": rest, "requested_size": 0}
    return [live, {**unused, "state": "inactive", "frames": []}]


def add_memory(patches: Patches, ledger: Ledger, count: int) -> Callable[[int], tuple[int, int]]:
    """Supply the functions; returns that which tells free and total bytes of a device."""
    allocator = _Allocator(ledger, count)
    functions = allocator.functions()
    patches.set_all(torch._C, functions)
    imported = {name: f for name, f in functions.items() if hasattr(torch.cuda.memory, name)}
    patches.set_all(torch.cuda.memory, imported)
    classes: tuple[tuple[Any, Any], ...] = (
        (torch.cuda.MemPool, _no_pool),
        (torch.cuda.memory.CUDAPluggableAllocator, _no_allocator),
    )
    for owner, refusal in classes:
        patches.set(owner, "__new__", staticmethod(refusal))
    return allocator.information
