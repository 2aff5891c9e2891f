"""CUDA's libraries as far as ``torch.cuda`` and ``torch.backends`` ask them.

Settings keep what they are set to and change nothing, tools that watch a device watch nothing, and
what would compile or run code of the program's own on the device is refused.
"""

from __future__ import annotations

import importlib
import os
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar, Final, NoReturn

import torch

from placeaudit.simulate.torch_cuda.cuda_build import cuda_build
from placeaudit.simulate.torch_cuda.errors import error_name, refuse

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from placeaudit.simulate.hardware import DeviceModel
    from placeaudit.simulate.torch_cuda.patches import Patches

__all__ = ["add_libraries"]

Tensor = torch.Tensor

#: ``parseChosenWorkspaceSize`` in aten/src/ATen/cuda/CublasHandlePool.cpp.
_CUBLAS_BYTES: Final = 4096 * 1024 * 2 + 16 * 1024 * 8
_CUBLAS_BYTES_FROM_HOPPER: Final = 4096 * 8 * 1024
_HOPPER: Final = 9
#: What nvtx answers where no tool listens (NVTX_NO_PUSH_POP_TRACKING).
_NOT_TRACKED: Final = -2
_CUDNN_TYPES: Final = (torch.float16, torch.float32, torch.float64)


def _nothing(*args: object, **kwargs: object) -> None:
    del args, kwargs


def _refuse_graph(*args: object, **kwargs: object) -> NoReturn:
    del args, kwargs
    refuse(
        "a CUDA graph (torch.cuda.CUDAGraph, torch.cuda.graph, make_graphed_callables)",
        "its replay runs recorded kernels, and simulated kernels are Python; run the step eagerly "
        "where the device is simulated, which computes the same",
    )


def _refuse_code(*args: object, **kwargs: object) -> NoReturn:
    del args, kwargs
    refuse(
        "a kernel in CUDA C++ (torch.cuda.jiterator)",
        "there is no device to run it; use the PyTorch operators it stands for",
    )


def _refuse_partition(*args: object, **kwargs: object) -> NoReturn:
    del args, kwargs
    refuse(
        "a green context (torch.cuda.GreenContext)",
        "it divides the multiprocessors of a device; run without it",
    )


def _refuse_direct_storage(*args: object, **kwargs: object) -> NoReturn:
    del args, kwargs
    refuse(
        "GPUDirect Storage (torch.cuda.gds)",
        "it moves data between a disk and a device; read into host memory and upload",
    )


# --- the CUDA runtime -------------------------------------------------------------------------


class _CudaError(int):
    """``torch._C._cudart.cudaError``: any code, one of them named."""

    success: ClassVar[_CudaError]

    def __repr__(self) -> str:
        return f"<cudaError.{'success' if self == 0 else '???'}: {int(self)}>"


_CudaError.success = _CudaError(0)


def _refuse_registration(*args: object, **kwargs: object) -> NoReturn:
    del args, kwargs
    refuse(
        "page-locking memory that exists (cudaHostRegister)",
        "torch's own pinned allocations alone are known to be pinned; use Tensor.pin_memory()",
    )


def _refuse_raw_stream(*args: object, **kwargs: object) -> NoReturn:
    del args, kwargs
    refuse("a stream of the CUDA runtime (cudaStreamCreate)", "use torch.cuda.Stream()")


def _cudart(memory_information: Callable[[int], tuple[int, int]]) -> SimpleNamespace:
    succeeded = _CudaError.success
    return SimpleNamespace(
        cudaError=_CudaError,
        cudaGetErrorString=error_name,
        cudaMemGetInfo=memory_information,
        cudaProfilerStart=lambda: succeeded,
        cudaProfilerStop=lambda: succeeded,
        cudaHostRegister=_refuse_registration,
        cudaHostUnregister=_refuse_registration,
        cudaStreamCreate=_refuse_raw_stream,
        cudaStreamDestroy=_refuse_raw_stream,
    )


def _nvtx() -> SimpleNamespace:
    """``torch._C._nvtx``: ranges that no tool reads."""
    return SimpleNamespace(
        rangePushA=lambda _message: _NOT_TRACKED,
        rangePop=lambda: _NOT_TRACKED,
        markA=_nothing,
        rangeStartA=lambda _message: 0,
        rangeEnd=_nothing,
        deviceRangeStart=_nothing,
        deviceRangeEnd=_nothing,
    )


# --- settings ---------------------------------------------------------------------------------


class _Settings:
    """What is set and read back, and changes nothing here."""

    def __init__(self, model: DeviceModel) -> None:
        is_hopper = model.capability[0] >= _HOPPER
        cublas = _CUBLAS_BYTES_FROM_HOPPER if is_hopper else _CUBLAS_BYTES
        self._defaults: dict[str, Any] = {"cublas": cublas, "cublaslt": cublas}
        self._values: dict[str, Any] = {
            **self._defaults,
            "benchmark_limit": 10,
            "benchmark_empty_cache": True,
            # As a process without any PYTORCH_TUNABLEOP_* variable has them.
            "enabled": False,
            "tuning": True,
            "untuned": False,
            "duration": 30,
            "iterations": 100,
            "filename": "",
            "rotating": model.cache_bytes,
        }

    def _get(self, name: str) -> Callable[[], Any]:
        return lambda: self._values[name]

    def _set(self, name: str, convert: Callable[[Any], Any] = lambda value: value) -> Any:
        def store(value: Any, *rest: object) -> None:
            del rest
            self._values[name] = convert(value)

        return store

    def _reset(self, name: str) -> Callable[[], None]:
        return lambda: self._values.update({name: self._defaults[name]})

    @staticmethod
    def _bytes_of(size: int) -> int:
        if size < 0:
            message = "workspace size must be non-negative"
            raise ValueError(message)
        return size

    def functions(self) -> dict[str, object]:
        """Names in ``torch._C``."""
        get, store, reset = self._get, self._set, self._reset
        tunable = "_cuda_tunableop_"
        return {
            "_cuda_getCublasWorkspaceSize": get("cublas"),
            "_cuda_setCublasWorkspaceSize": store("cublas", self._bytes_of),
            "_cuda_resetCublasWorkspaceSize": reset("cublas"),
            "_cuda_getCublasLtWorkspaceSize": get("cublaslt"),
            "_cuda_setCublasLtWorkspaceSize": store("cublaslt", self._bytes_of),
            "_cuda_resetCublasLtWorkspaceSize": reset("cublaslt"),
            "_cuda_clearCublasWorkspaces": _nothing,
            "_cuda_get_cudnn_benchmark_limit": get("benchmark_limit"),
            "_cuda_set_cudnn_benchmark_limit": store("benchmark_limit"),
            "_cuda_get_conv_benchmark_empty_cache": get("benchmark_empty_cache"),
            "_cudnn_set_conv_benchmark_empty_cache": store("benchmark_empty_cache"),
            f"{tunable}enable": store("enabled"),
            f"{tunable}is_enabled": get("enabled"),
            f"{tunable}tuning_enable": store("tuning"),
            f"{tunable}tuning_is_enabled": get("tuning"),
            "_cuda_record_untuned_enable": store("untuned"),
            "_cuda_record_untuned_is_enabled": get("untuned"),
            f"{tunable}set_max_tuning_duration": store("duration"),
            f"{tunable}get_max_tuning_duration": get("duration"),
            f"{tunable}set_max_tuning_iterations": store("iterations"),
            f"{tunable}get_max_tuning_iterations": get("iterations"),
            f"{tunable}set_filename": store("filename"),
            f"{tunable}get_filename": get("filename"),
            f"{tunable}get_results": tuple,
            f"{tunable}get_validators": lambda: (("PT_VERSION", torch.__version__.split("+")[0]),),
            f"{tunable}read_file": os.path.exists,
            f"{tunable}set_rotating_buffer_size": store("rotating", lambda mib: mib << 20),
            f"{tunable}get_rotating_buffer_size": get("rotating"),
            f"{tunable}set_numerical_check_tolerances": _nothing,
        }


# --- NCCL among the devices of one process ----------------------------------------------------

_SUM, _PRODUCT, _MAXIMUM, _MINIMUM = range(4)


def _check_dense(tensors: Sequence[Tensor]) -> None:
    """``check_inputs`` in torch/csrc/cuda/nccl.cpp."""
    if any(not tensor.is_cuda or tensor.is_sparse for tensor in tensors):
        message = "input and output elements have to be cuda dense Tensors"
        raise RuntimeError(message)


def _combined(tensors: Sequence[Tensor], operation: int) -> Tensor:
    """On the device of the first."""
    rows = torch.stack([tensor.to(tensors[0].device) for tensor in tensors])
    if operation == _PRODUCT:
        return rows.prod(0)
    if operation == _MAXIMUM:
        return rows.amax(0)
    return rows.amin(0) if operation == _MINIMUM else rows.sum(0)


def _all_reduce(inputs: Any, outputs: Any, operation: int, *where: object) -> None:
    del where
    _check_dense([*inputs, *outputs])
    total = _combined(inputs, operation)
    for output in outputs:
        output.copy_(total)


def _reduce(inputs: Any, output: Tensor, root: int, operation: int, *where: object) -> None:
    del root, where
    _check_dense([*inputs, output])
    output.copy_(_combined(inputs, operation))


def _broadcast(inputs: Any, root: int, *where: object) -> None:
    del where
    _check_dense(inputs)
    for place, tensor in enumerate(inputs):
        if place != root:
            tensor.copy_(inputs[root])


def _all_gather(inputs: Any, outputs: Any, *where: object) -> None:
    del where
    _check_dense([*inputs, *outputs])
    for output in outputs:
        rows = output.view(len(inputs), -1)
        for row, tensor in zip(rows, inputs, strict=True):
            row.copy_(tensor.view(-1))


def _reduce_scatter(inputs: Any, outputs: Any, operation: int, *where: object) -> None:
    del where
    _check_dense([*inputs, *outputs])
    rows = _combined(inputs, operation).view(len(outputs), -1)
    for row, output in zip(rows, outputs, strict=True):
        output.view(-1).copy_(row)


def _refuse_rank(*args: object, **kwargs: object) -> NoReturn:
    del args, kwargs
    refuse(
        "a communicator of NCCL's own (torch.cuda.nccl.init_rank)",
        "use torch.distributed, whose backend 'nccl' is simulated",
    )


def _nccl() -> dict[str, object]:
    return {
        "_nccl_unique_id": lambda: os.urandom(128),
        "_nccl_init_rank": _refuse_rank,
        "_nccl_all_reduce": _all_reduce,
        "_nccl_reduce": _reduce,
        "_nccl_broadcast": _broadcast,
        "_nccl_all_gather": _all_gather,
        "_nccl_reduce_scatter": _reduce_scatter,
    }


# --- refusals and versions --------------------------------------------------------------------


def _add_refusals(patches: Patches) -> None:
    refused: dict[str, object] = {
        "_cuda_jiterator_compile_and_launch_kernel": _refuse_code,
    }
    gds = ("register_buffer", "deregister_buffer", "register_handle", "deregister_handle")
    refused |= {f"_gds_{name}": _refuse_direct_storage for name in gds}
    refused |= {f"_gds_{name}_storage": _refuse_direct_storage for name in ("load", "save")}
    patches.set_all(torch._C, refused)
    for owner in (torch.cuda, torch.cuda.graphs):
        patches.set(owner, "make_graphed_callables", _refuse_graph)
    classes: list[tuple[Any, Any]] = [
        (torch.cuda.CUDAGraph, _refuse_graph),
        (torch.cuda.graph, _refuse_graph),
        (torch.cuda.gds.GdsFile, _refuse_direct_storage),
    ]
    graph = getattr(torch.accelerator, "Graph", None)
    if graph is not None:
        classes.append((graph, _refuse_graph))
    for owner, refusal in classes:
        patches.set(owner, "__new__", staticmethod(refusal))
    # Not yet there in the oldest torch that is supported.
    if hasattr(torch.cuda, "GreenContext"):
        patches.set(torch.cuda.GreenContext, "create", staticmethod(_refuse_partition))


def _is_acceptable(tensor: Tensor) -> bool:
    """As cuDNN's own check of a tensor on a device; torch would warn of a build without it."""
    enabled = torch._C._get_cudnn_enabled()
    return bool(enabled and tensor.is_cuda and tensor.dtype in _CUDNN_TYPES)


def add_libraries(
    patches: Patches,
    model: DeviceModel,
    memory_information: Callable[[int], tuple[int, int]],
) -> None:
    """Supply the functions, and the values torch took from a CUDA build when imported."""
    build = cuda_build()
    settings = _Settings(model).functions()
    patches.set_all(torch._C, settings)
    limit = (settings[f"_cuda_{verb}_cudnn_benchmark_limit"] for verb in ("get", "set"))
    patches.set(type(torch.backends.cudnn), "benchmark_limit", torch.backends.ContextProp(*limit))
    patches.set_all(torch._C, _nccl())
    patches.set_all(
        torch._C,
        {
            "_has_cudnn": True,
            "_can_use_cudnn_attention": lambda _parameters, _debug=False: False,
            "_graph_pool_handle": lambda: (0, 1),
            # Programs ask for them to have the libraries ready; nothing here can use them.
            "_cuda_getCurrentBlasHandle": lambda: id(_nothing),
            "_cuda_getCurrentSolverHandle": lambda: id(_nothing),
            "_cuda_getCompiledVersion": lambda: _compiled_version(build.cuda),
        },
    )
    _add_refusals(patches)
    patches.set_all(torch.cuda, {"_cudart": _cudart(memory_information), "has_magma": True})
    patches.set(torch.cuda.graphs, "_graph_pool_handle", lambda: (0, 1))
    patches.set(torch.cuda.nvtx, "_nvtx", _nvtx())
    # It asks when it is imported whether this is a CUDA build, and would complain of no triton.
    importlib.import_module("torch.utils.flop_counter")
    patches.set(torch.version, "cuda", build.cuda)
    patches.set(torch.backends.cudnn, "version", lambda: build.cudnn)
    patches.set(torch.backends.cudnn, "is_acceptable", _is_acceptable)
    patches.set(torch.backends.cusparselt, "is_available", lambda: True)
    patches.set(torch.backends.cusparselt, "version", lambda: build.cusparselt)


def _compiled_version(cuda: str) -> int:
    """As ``CUDA_VERSION``: 13.0 is 13000."""
    major, minor = cuda.split(".")
    return int(major) * 1000 + int(minor) * 10
