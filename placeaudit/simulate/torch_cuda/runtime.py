"""The functions of a CUDA build's ``torch._C`` that ``torch.cuda`` is written on."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

import torch

from placeaudit.simulate.torch_cuda.devices import check_index, current_index
from placeaudit.simulate.torch_cuda.generators import default_generators

if TYPE_CHECKING:
    from placeaudit.simulate.hardware import DeviceModel
    from placeaudit.simulate.spec import SimulationSpec
    from placeaudit.simulate.torch_cuda.ledger import Ledger
    from placeaudit.simulate.torch_cuda.patches import Patches

__all__ = ["DeviceProperties", "add_runtime"]

#: What a current CUDA build of this generation reports; programs compare it, nothing loads it.
_CUDA_VERSION: Final = "12.8"
_CUDNN_VERSION: Final = 91002


class DeviceProperties:
    """Stands for ``torch._C._CudaDeviceProperties``."""

    def __init__(self, model: DeviceModel) -> None:
        self.name = model.product
        self.major, self.minor = model.capability
        self.total_memory = model.memory_bytes
        self.multi_processor_count = model.multiprocessors
        self.max_threads_per_multi_processor = 2048
        self.max_threads_per_block = 1024
        self.warp_size = 32
        self.regs_per_multiprocessor = 65536
        self.shared_memory_per_block = 49152
        self.is_integrated = 0
        self.is_multi_gpu_board = 0
        self.gcnArchName = ""
        self.L2_cache_size = 50 << 20
        self.uuid = "00000000-0000-0000-0000-000000000000"

    def __repr__(self) -> str:
        return (
            f"_CudaDeviceProperties(name='{self.name}', major={self.major}, minor={self.minor}, "
            f"total_memory={self.total_memory >> 20}MB, "
            f"multi_processor_count={self.multi_processor_count})"
        )


class _Runtime:
    """State behind the functions: how many devices, of what kind."""

    def __init__(self, spec: SimulationSpec, ledger: Ledger) -> None:
        self._spec = spec
        self._ledger = ledger
        self._process: int | None = None

    def initialize(self) -> None:
        """``_cuda_init``: what only exists once CUDA is up."""
        self._process = os.getpid()
        generators: Any = default_generators(self._spec.count)
        torch.cuda.default_generators = generators

    def is_in_bad_fork(self) -> bool:
        """Whether CUDA was initialised in a parent process of this one."""
        return self._process not in {None, os.getpid()}

    def set_device(self, index: int) -> None:
        """Make a device current in this thread."""
        check_index(index)
        if index >= 0:
            torch._C._accelerator_setDeviceIndex(index)

    def exchange(self, index: int) -> int:
        """Make a device current, return the one before; a negative index changes nothing."""
        if index < 0:
            return -1
        before = current_index()
        self.set_device(index)
        return before

    def properties(self, index: int) -> DeviceProperties:
        """Properties of one device."""
        del index
        return DeviceProperties(self._spec.device)

    def memory_info(self, index: int) -> tuple[int, int]:
        """Free and total bytes."""
        return self._ledger.free_and_total(index)

    def accelerator_functions(self) -> dict[str, object]:
        """Names in ``torch._C`` that ask C++ for the device's allocator elsewhere."""
        ledger = self._ledger
        return {
            "_accelerator_isAllocatorInitialized": lambda: True,
            "_accelerator_emptyCache": ledger.release_unused,
            "_accelerator_emptyHostCache": _nothing,
            "_accelerator_getDeviceStats": ledger.stats,
            "_accelerator_resetPeakStats": ledger.reset_peak,
            "_accelerator_resetAccumulatedStats": ledger.reset_accumulated,
            "_accelerator_getMemoryInfo": self.memory_info,
        }

    def functions(self) -> dict[str, object]:
        """Names in ``torch._C``."""
        ledger = self._ledger
        return {
            "_has_cuda": True,
            "_cuda_init": self.initialize,
            "_cuda_isInBadFork": self.is_in_bad_fork,
            "_cuda_getDeviceCount": lambda: self._spec.count,
            "_cuda_getDevice": current_index,
            "_cuda_setDevice": self.set_device,
            "_cuda_exchangeDevice": self.exchange,
            "_cuda_maybeExchangeDevice": self.exchange,
            "_cuda_getArchFlags": lambda: "sm_70 sm_75 sm_80 sm_86 sm_89 sm_90 sm_100 sm_120",
            "_cuda_canDeviceAccessPeer": lambda a, b: a != b,
            "_cuda_synchronize": _nothing,
            "_cuda_ipc_collect": _nothing,
            "_cuda_emptyCache": ledger.release_unused,
            "_cuda_memoryStats": ledger.stats,
            "_cuda_resetPeakMemoryStats": ledger.reset_peak,
            "_cuda_resetAccumulatedMemoryStats": ledger.reset_accumulated,
            "_cuda_setMemoryFraction": ledger.set_fraction,
            "_cuda_getMemoryFraction": ledger.fraction,
            "_cuda_memorySnapshot": lambda _pool: {"segments": [], "device_traces": []},
            "_cuda_record_memory_history": _nothing,
            "_cuda_record_memory_history_legacy": _nothing,
            "_cuda_getCurrentBlasHandle": lambda: 0,
            "_cuda_get_cudnn_benchmark_limit": lambda: 10,
            "_cuda_set_cudnn_benchmark_limit": _nothing,
            "_has_cudnn": True,
            "_cuda_getAllocatorBackend": lambda: "native",
            "_cuda_cudaCachingAllocator_enable": _nothing,
            "_cuda_sleep": _nothing,
        }


def _nothing(*args: object, **kwargs: object) -> None:
    del args, kwargs


def _make_nvtx() -> SimpleNamespace:
    """``torch._C._nvtx``: ranges that nobody reads."""
    return SimpleNamespace(
        rangePushA=lambda _message: 0,
        rangePop=lambda: 0,
        markA=_nothing,
        rangeStartA=lambda _message: 0,
        rangeEnd=_nothing,
    )


def add_runtime(patches: Patches, spec: SimulationSpec, ledger: Ledger) -> None:
    """Supply the functions, and the values torch took from a CUDA build when imported."""
    runtime = _Runtime(spec, ledger)
    patches.set_all(torch._C, runtime.functions())
    patches.set_all(torch._C, runtime.accelerator_functions())
    cuda = torch.cuda
    cudart = SimpleNamespace(
        cudaMemGetInfo=runtime.memory_info,
        cudaProfilerStart=_nothing,
        cudaProfilerStop=_nothing,
        cudaError=SimpleNamespace(success=0),
    )
    patches.set_all(
        cuda,
        {
            "_cudart": cudart,
            "_is_in_bad_fork": runtime.is_in_bad_fork,
            "_exchange_device": runtime.exchange,
            "_maybe_exchange_device": runtime.exchange,
            "_get_device_properties": runtime.properties,
            "_device_count_nvml": lambda: -1,
            "is_current_stream_capturing": lambda: False,
        },
    )
    patches.set(torch.cuda.nvtx, "_nvtx", _make_nvtx())
    patches.set(torch.version, "cuda", _CUDA_VERSION)
    patches.set(torch.backends.cudnn, "version", lambda: _CUDNN_VERSION)
    # torch warns of a build without cuDNN where a module asks; the answer stays the same.
    patches.set(torch.backends.cudnn, "is_acceptable", lambda _tensor: False)
    patches.set(torch.accelerator, "synchronize", _nothing)
