"""Every public name of ``torch.cuda`` and its neighbours: a right value, or a clear refusal.

Each name has a row here that calls it; a name of a newer torch without a row fails the first test.
"""

# ruff: noqa: PLW0108  # names are looked up when called: the simulation replaces what they name

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch
import torch.cuda.comm

from placeaudit.simulate.torch_cuda.cuda_build import cuda_build
from placeaudit.simulate.torch_cuda.errors import Unsimulated

pytestmark = [
    pytest.mark.usefixtures("cuda"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

cuda: Any = torch.cuda
#: What of a CPU build would give the simulation away.
LEAKS = ("not compiled", "without CUDA", "ATen_cuda", "dummy base class", "has no attribute")
TOTAL = 81089 << 20

#: A value that must be equal, or a question that must be answered with yes.
Expected = Any
Rows = dict[str, tuple[Callable[[], Any], Expected]]


def one() -> torch.Tensor:
    return torch.ones(4, device="cuda")


def is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def nothing(value: Any) -> bool:
    return value is None


def run_in(context: Any) -> bool:
    with context:
        return True


def refused(about: str) -> Callable[[Any], bool]:
    """The row expects a refusal that names this."""

    def check(value: Any) -> bool:
        return isinstance(value, Unsimulated) and about in str(value)

    check.__name__ = "refused"
    return check


def without_nvml(value: Any) -> bool:
    """What ``torch.cuda`` asks the driver's own library, in that library's words."""
    return type(value).__name__ == "NVMLError_LibraryNotFound" or isinstance(value, ImportError)


def error(kind: type[BaseException], text: str) -> Callable[[Any], bool]:
    return lambda value: type(value) is kind and text in str(value)


def attention() -> Any:
    query = torch.ones(1, 1, 4, 8, device="cuda")
    return torch.backends.cuda.SDPAParams(query, query, query, None, 0.0, False, False)


def amp_step() -> bool:
    scaler = cuda.amp.GradScaler()
    with cuda.amp.autocast():
        return bool(
            scaler.is_enabled() and (one().view(2, 2) @ one().view(2, 2)).dtype.itemsize == 2
        )


def allocated() -> bool:
    before = cuda.memory_allocated()
    address = cuda.caching_allocator_alloc(1000)
    during = cuda.memory_allocated()
    cuda.caching_allocator_delete(address)
    return bool(address and during - before == 1024 and cuda.memory_allocated() == before)


def graphed() -> Any:
    return cuda.make_graphed_callables(torch.nn.Linear(4, 4).cuda(), (one(),))


def summed(*tensors: torch.Tensor) -> list[list[float]]:
    cuda.nccl.all_reduce(list(tensors))
    return [tensor.tolist() for tensor in tensors]


CODE = "template <typename T> T f(T x) { return x; }"
TYPES = {name for name in dir(torch.cuda) if re.fullmatch(r"\w+(Tensor|Storage)", name)}

CUDA: Rows = {
    "CUDAGraph": (lambda: cuda.CUDAGraph(), refused("CUDA graph")),
    "CUDAPluggableAllocator": (
        lambda: cuda.CUDAPluggableAllocator("a.so", "b", "c"),
        refused("CUDAPluggableAllocator"),
    ),
    "CudaError": (lambda: str(cuda.CudaError(2)), "out of memory (2)"),
    "DeferredCudaCallError": (lambda: issubclass(cuda.DeferredCudaCallError, Exception), True),
    "Event": (lambda: cuda.Event().query(), True),
    "ExternalStream": (lambda: cuda.ExternalStream(0x7F00BEEF), refused("another library")),
    "GreenContext": (lambda: cuda.GreenContext.create(num_sms=8), refused("GreenContext")),
    "MemPool": (lambda: cuda.MemPool(), refused("MemPool")),
    "Stream": (lambda: cuda.Stream(device=1).device, torch.device("cuda", 1)),
    "StreamContext": (lambda: run_in(cuda.StreamContext(cuda.Stream())), True),
    "amp": (amp_step, True),
    "caching_allocator_alloc": (allocated, True),
    "caching_allocator_delete": (
        lambda: cuda.caching_allocator_delete(12345),
        error(RuntimeError, "invalid device pointer: 0x3039"),
    ),
    "caching_allocator_disabled": (lambda: run_in(cuda.caching_allocator_disabled()), True),
    "caching_allocator_enable": (lambda: cuda.caching_allocator_enable(True), nothing),
    "can_device_access_peer": (
        lambda: (cuda.can_device_access_peer(0, 1), cuda.can_device_access_peer(0, 0)),
        (True, False),
    ),
    "change_current_allocator": (
        lambda: cuda.change_current_allocator(cuda.CUDAPluggableAllocator("a.so", "b", "c")),
        refused("CUDAPluggableAllocator"),
    ),
    "check_error": (lambda: cuda.check_error(101), error(cuda.CudaError, "invalid device ordinal")),
    "clock_rate": (lambda: cuda.clock_rate(), without_nvml),
    "cudaStatus": (lambda: cuda.cudaStatus.SUCCESS, 0),
    "cudart": (lambda: cuda.cudart().cudaProfilerStart() == cuda.cudart().cudaError.success, True),
    "current_blas_handle": (lambda: cuda.current_blas_handle() > 0, True),
    "current_device": (lambda: cuda.current_device(), 0),
    "current_solver_handle": (lambda: cuda.current_solver_handle() > 0, True),
    "current_stream": (lambda: cuda.current_stream(1).stream_id, 0),
    "default_generators": (
        lambda: [generator.device for generator in cuda.default_generators],
        [torch.device("cuda", 0), torch.device("cuda", 1)],
    ),
    "default_stream": (lambda: cuda.default_stream() == cuda.current_stream(), True),
    "device": (lambda: run_in(cuda.device(1)) and cuda.current_device() == 0, True),
    "device_count": (lambda: cuda.device_count(), 2),
    "device_memory_used": (lambda: cuda.device_memory_used(), without_nvml),
    "device_of": (lambda: run_in(cuda.device_of(one())), True),
    "empty_cache": (lambda: cuda.empty_cache(), nothing),
    "get_allocator_backend": (lambda: cuda.get_allocator_backend(), "native"),
    "get_arch_list": (lambda: cuda.get_arch_list(), list(cuda_build().archs)),
    "get_device_capability": (lambda: cuda.get_device_capability(1), (9, 0)),
    "get_device_name": (lambda: cuda.get_device_name(), "NVIDIA H100 80GB HBM3"),
    "get_device_properties": (lambda: cuda.get_device_properties(1).total_memory, TOTAL),
    "get_gencode_flags": (lambda: "code=sm_90" in cuda.get_gencode_flags(), True),
    "get_per_process_memory_fraction": (lambda: cuda.get_per_process_memory_fraction(), 1.0),
    "get_rng_state": (lambda: cuda.get_rng_state().dtype, torch.uint8),
    "get_rng_state_all": (lambda: len(cuda.get_rng_state_all()), 2),
    "get_stream_from_external": (
        lambda: cuda.get_stream_from_external(0x7F00BEEF),
        refused("another library"),
    ),
    "get_sync_debug_mode": (lambda: cuda.get_sync_debug_mode(), 0),
    "graph": (lambda: cuda.graph(None), refused("CUDA graph")),
    "graph_pool_handle": (lambda: cuda.graph_pool_handle(), (0, 1)),
    "has_half": (lambda: cuda.has_half, True),
    "has_magma": (lambda: cuda.has_magma, True),
    "host_memory_stats": (lambda: (one(), cuda.host_memory_stats()), refused("page-locked")),
    "host_memory_stats_as_nested_dict": (
        lambda: (one(), cuda.host_memory_stats_as_nested_dict()),
        refused("page-locked"),
    ),
    "init": (lambda: cuda.init(), nothing),
    "initial_seed": (lambda: (cuda.manual_seed(7), cuda.initial_seed())[1], 7),
    "ipc_collect": (lambda: cuda.ipc_collect(), nothing),
    "is_available": (lambda: cuda.is_available(), True),
    "is_bf16_supported": (lambda: cuda.is_bf16_supported(), True),
    "is_current_stream_capturing": (lambda: cuda.is_current_stream_capturing(), False),
    "is_initialized": (lambda: (one(), cuda.is_initialized())[1], True),
    "is_tf32_supported": (lambda: cuda.is_tf32_supported(), True),
    "jiterator": (
        lambda: cuda.jiterator._create_jit_fn("template <typename T> T f(T x) { return x; }")(
            one()
        ),
        refused("jiterator"),
    ),
    "list_gpu_processes": (lambda: cuda.list_gpu_processes(), without_nvml),
    "make_graphed_callables": (graphed, refused("CUDA graph")),
    "manual_seed": (lambda: cuda.manual_seed(3), nothing),
    "manual_seed_all": (lambda: (cuda.manual_seed_all(5), cuda.initial_seed())[1], 5),
    "max_memory_allocated": (lambda: one().nbytes <= cuda.max_memory_allocated(), True),
    "max_memory_cached": (lambda: cuda.max_memory_cached() % (2 << 20), 0),
    "max_memory_reserved": (lambda: cuda.max_memory_reserved() % (2 << 20), 0),
    "mem_get_info": (lambda: cuda.mem_get_info()[1], TOTAL),
    "memory_allocated": (lambda: cuda.memory_allocated(), is_count),
    "memory_cached": (lambda: cuda.memory_cached() == cuda.memory_reserved(), True),
    "memory_reserved": (lambda: cuda.memory_reserved(), is_count),
    "memory_snapshot": (lambda: type(cuda.memory_snapshot()), list),
    "memory_stats": (lambda: (one(), cuda.memory_stats()["num_ooms"])[1], is_count),
    "memory_stats_as_nested_dict": (
        lambda: (one(), set(cuda.memory_stats_as_nested_dict()["allocated_bytes"]))[1],
        {"all", "small_pool", "large_pool"},
    ),
    "memory_summary": (lambda: "PyTorch CUDA memory summary" in cuda.memory_summary(), True),
    "memory_usage": (lambda: cuda.memory_usage(), without_nvml),
    "power_draw": (lambda: cuda.power_draw(), without_nvml),
    "reset_accumulated_host_memory_stats": (
        lambda: cuda.reset_accumulated_host_memory_stats(),
        refused("page-locked"),
    ),
    "reset_accumulated_memory_stats": (lambda: cuda.reset_accumulated_memory_stats(), nothing),
    "reset_max_memory_allocated": (lambda: cuda.reset_max_memory_allocated(), nothing),
    "reset_max_memory_cached": (lambda: cuda.reset_max_memory_cached(), nothing),
    "reset_peak_host_memory_stats": (
        lambda: cuda.reset_peak_host_memory_stats(),
        refused("page-locked"),
    ),
    "reset_peak_memory_stats": (lambda: cuda.reset_peak_memory_stats(), nothing),
    "seed": (lambda: cuda.seed(), nothing),
    "seed_all": (lambda: cuda.seed_all(), nothing),
    "set_device": (lambda: (cuda.set_device(1), cuda.current_device(), cuda.set_device(0))[1], 1),
    "set_per_process_memory_fraction": (
        lambda: (
            cuda.set_per_process_memory_fraction(0.5, 1),
            cuda.get_per_process_memory_fraction(1),
        )[1],
        pytest.approx(0.5),
    ),
    "set_rng_state": (lambda: cuda.set_rng_state(cuda.get_rng_state()), nothing),
    "set_rng_state_all": (lambda: cuda.set_rng_state_all(cuda.get_rng_state_all()), nothing),
    "set_stream": (lambda: cuda.set_stream(cuda.default_stream()), nothing),
    "set_sync_debug_mode": (lambda: cuda.set_sync_debug_mode("default"), nothing),
    "stream": (lambda: run_in(cuda.stream(cuda.Stream())), True),
    "synchronize": (lambda: cuda.synchronize(), nothing),
    "temperature": (lambda: cuda.temperature(), without_nvml),
    "use_mem_pool": (lambda: run_in(cuda.use_mem_pool(cuda.MemPool())), refused("MemPool")),
    "utilization": (lambda: cuda.utilization(), without_nvml),
}

ACCELERATOR: Rows = {
    "Graph": (lambda: torch.accelerator.Graph(), refused("CUDA graph")),
    "current_accelerator": (lambda: torch.accelerator.current_accelerator(), torch.device("cuda")),
    "current_device_idx": (lambda: torch.accelerator.current_device_idx(), 0),
    "current_device_index": (lambda: torch.accelerator.current_device_index(), 0),
    "current_stream": (lambda: torch.accelerator.current_stream().stream_id, 0),
    "device_count": (lambda: torch.accelerator.device_count(), 2),
    "device_index": (lambda: run_in(torch.accelerator.device_index(1)), True),
    "empty_cache": (lambda: torch.accelerator.empty_cache(), nothing),
    "empty_host_cache": (lambda: torch.accelerator.empty_host_cache(), nothing),
    # CUDA's guard has none either.
    "get_device_capability": (
        lambda: torch.accelerator.get_device_capability(),
        error(RuntimeError, "Backend doesn't support getting device capabilities."),
    ),
    "get_memory_info": (lambda: torch.accelerator.get_memory_info()[1], TOTAL),
    "is_available": (lambda: torch.accelerator.is_available(), True),
    "max_memory_allocated": (lambda: torch.accelerator.max_memory_allocated(), is_count),
    "max_memory_reserved": (lambda: torch.accelerator.max_memory_reserved(), is_count),
    "memory_allocated": (
        lambda: torch.accelerator.memory_allocated() == cuda.memory_allocated(),
        True,
    ),
    "memory_reserved": (lambda: torch.accelerator.memory_reserved(), is_count),
    "memory_stats": (lambda: torch.accelerator.memory_stats() == cuda.memory_stats(), True),
    "reset_accumulated_memory_stats": (
        lambda: torch.accelerator.reset_accumulated_memory_stats(),
        nothing,
    ),
    "reset_peak_memory_stats": (lambda: torch.accelerator.reset_peak_memory_stats(), nothing),
    "set_device_idx": (lambda: torch.accelerator.set_device_idx(0), nothing),
    "set_device_index": (lambda: torch.accelerator.set_device_index(0), nothing),
    "set_stream": (lambda: torch.accelerator.set_stream(cuda.default_stream()), nothing),
    "synchronize": (lambda: torch.accelerator.synchronize(), nothing),
}

b: Any = torch.backends.cuda
BACKEND: Rows = {
    "SDPAParams": (lambda: attention().dropout, 0.0),
    "allow_fp16_bf16_reduction_math_sdp": (
        lambda: b.allow_fp16_bf16_reduction_math_sdp(False),
        nothing,
    ),
    "blas_workspace_size": (lambda: b.blas_workspace_size(), 32 << 20),
    "can_use_cudnn_attention": (lambda: type(b.can_use_cudnn_attention(attention())), bool),
    "can_use_efficient_attention": (lambda: type(b.can_use_efficient_attention(attention())), bool),
    "can_use_flash_attention": (lambda: type(b.can_use_flash_attention(attention())), bool),
    "cuBLASModule": (lambda: b.matmul.allow_tf32, False),
    "cuFFTPlanCache": (lambda: b.cufft_plan_cache[1].size, 0),
    "cuFFTPlanCacheAttrContextProp": (lambda: b.cufft_plan_cache.size, 0),
    "cuFFTPlanCacheManager": (lambda: b.cufft_plan_cache.clear(), nothing),
    "cublas_workspace_size": (lambda: b.cublas_workspace_size(), 32 << 20),
    "cublaslt_workspace_size": (
        lambda: (b.cublaslt_workspace_size(1 << 20), b.cublaslt_workspace_size())[1],
        1 << 20,
    ),
    "cudnn_sdp_enabled": (lambda: b.cudnn_sdp_enabled(), True),
    "cufft_plan_cache": (lambda: b.cufft_plan_cache.max_size, 4096),
    "enable_cudnn_sdp": (lambda: b.enable_cudnn_sdp(True), nothing),
    "enable_flash_sdp": (lambda: b.enable_flash_sdp(True), nothing),
    "enable_math_sdp": (lambda: b.enable_math_sdp(True), nothing),
    "enable_mem_efficient_sdp": (lambda: b.enable_mem_efficient_sdp(True), nothing),
    "flash_sdp_enabled": (lambda: b.flash_sdp_enabled(), True),
    "fp16_bf16_reduction_math_sdp_allowed": (
        lambda: b.fp16_bf16_reduction_math_sdp_allowed(),
        False,
    ),
    "is_built": (lambda: b.is_built(), True),
    "is_ck_sdpa_available": (lambda: b.is_ck_sdpa_available(), False),
    "is_flash_attention_available": (lambda: type(b.is_flash_attention_available()), bool),
    "math_sdp_enabled": (lambda: b.math_sdp_enabled(), True),
    "matmul": (lambda: type(b.matmul.allow_fp16_reduced_precision_reduction), bool),
    "mem_efficient_sdp_enabled": (lambda: b.mem_efficient_sdp_enabled(), True),
    "preferred_blas_library": (lambda: b.preferred_blas_library().name, "Cublas"),
    "preferred_linalg_library": (lambda: b.preferred_linalg_library().name, "Default"),
    "preferred_rocm_fa_library": (lambda: b.preferred_rocm_fa_library().name, "Default"),
    "sdp_kernel": (lambda: run_in(b.sdp_kernel()), True),
}

TUNABLE: Rows = {
    "is_enabled": (lambda: cuda.tunable.is_enabled(), False),
    "tuning_is_enabled": (lambda: cuda.tunable.tuning_is_enabled(), True),
    "record_untuned_is_enabled": (lambda: cuda.tunable.record_untuned_is_enabled(), False),
    "get_max_tuning_duration": (lambda: cuda.tunable.get_max_tuning_duration(), 30),
    "get_max_tuning_iterations": (lambda: cuda.tunable.get_max_tuning_iterations(), 100),
    "get_filename": (lambda: cuda.tunable.get_filename(), ""),
    "get_results": (lambda: cuda.tunable.get_results(), ()),
    "get_validators": (
        lambda: cuda.tunable.get_validators(),
        (("PT_VERSION", torch.__version__.split("+")[0]),),
    ),
    "get_rotating_buffer_size": (lambda: cuda.tunable.get_rotating_buffer_size(), 50 << 20),
    "read_file": (lambda: cuda.tunable.read_file("/nowhere"), False),
    "enable": (
        lambda: (cuda.tunable.enable(True), cuda.tunable.is_enabled(), cuda.tunable.enable(False)),
        (None, True, None),
    ),
    "tuning_enable": (lambda: cuda.tunable.tuning_enable(True), nothing),
    "record_untuned_enable": (lambda: cuda.tunable.record_untuned_enable(False), nothing),
    "set_filename": (
        lambda: (cuda.tunable.set_filename("t.csv"), cuda.tunable.get_filename())[1],
        "t.csv",
    ),
    "set_max_tuning_duration": (
        lambda: (
            cuda.tunable.set_max_tuning_duration(3),
            cuda.tunable.get_max_tuning_duration(),
        )[1],
        3,
    ),
    "set_max_tuning_iterations": (lambda: cuda.tunable.set_max_tuning_iterations(5), nothing),
    "set_rotating_buffer_size": (
        lambda: (
            cuda.tunable.set_rotating_buffer_size(2),
            cuda.tunable.get_rotating_buffer_size(),
        )[1],
        2 << 20,
    ),
    "set_numerical_check_tolerances": (
        lambda: cuda.tunable.set_numerical_check_tolerances(True),
        nothing,
    ),
    "tune_gemm_in_file": (
        lambda: cuda.tunable.tune_gemm_in_file("/nowhere"),
        lambda value: isinstance(value, (AssertionError, FileNotFoundError)),
    ),
    "mgpu_tune_gemm_in_file": (
        lambda: cuda.tunable.mgpu_tune_gemm_in_file("/nowhere*", 2),
        lambda value: not isinstance(value, AttributeError),
    ),
}

OTHERS: Rows = {
    "nccl.all_reduce": (
        lambda: summed(one(), torch.ones(4, device="cuda:1")),
        [[2.0] * 4] * 2,
    ),
    "nccl.unique_id": (lambda: len(cuda.nccl.unique_id()), 128),
    "nccl.init_rank": (lambda: cuda.nccl.init_rank(1, b"", 0), refused("init_rank")),
    "nccl.version": (lambda: cuda.nccl.version() >= (2, 20), True),
    "nvtx.range_push": (lambda: cuda.nvtx.range_push("x"), -2),
    "nvtx.range_pop": (lambda: cuda.nvtx.range_pop(), -2),
    "nvtx.mark": (lambda: cuda.nvtx.mark("x"), nothing),
    "nvtx.range_start": (lambda: cuda.nvtx.range_end(cuda.nvtx.range_start("x")), nothing),
    "nvtx.range": (lambda: run_in(cuda.nvtx.range("step {}", 1)), True),
    "profiler.start": (lambda: cuda.profiler.start(), nothing),
    "profiler.stop": (lambda: cuda.profiler.stop(), nothing),
    "profiler.profile": (lambda: run_in(cuda.profiler.profile()), True),
    "gds.GdsFile": (lambda: cuda.gds.GdsFile("/nowhere", os.O_RDONLY), refused("GPUDirect")),
    "gds.gds_register_buffer": (
        lambda: cuda.gds.gds_register_buffer(one().untyped_storage()),
        refused("GPUDirect"),
    ),
    "comm.broadcast": (
        lambda: [t.device.index for t in cuda.comm.broadcast(one(), [0, 1])],
        [0, 1],
    ),
    "comm.reduce_add": (
        lambda: cuda.comm.reduce_add([one(), torch.ones(4, device="cuda:1")]).tolist(),
        [2.0] * 4,
    ),
    "comm.scatter": (lambda: [t.shape[0] for t in cuda.comm.scatter(one(), [0, 1])], [2, 2]),
    "comm.gather": (
        lambda: cuda.comm.gather([one(), torch.ones(4, device="cuda:1")]).shape[0],
        8,
    ),
    "sparse.FloatTensor": (lambda: cuda.sparse.FloatTensor.__module__, "torch.cuda.sparse"),
    "memory._record_memory_history": (lambda: cuda.memory._record_memory_history(), nothing),
    "memory._snapshot": (lambda: len(cuda.memory._snapshot()["device_traces"]), 2),
    "memory._set_allocator_settings": (
        lambda: cuda.memory._set_allocator_settings("expandable_segments:True"),
        nothing,
    ),
    "memory._get_current_allocator": (
        lambda: cuda.memory._get_current_allocator(),
        refused("CUDAPluggableAllocator"),
    ),
    "cudnn.version": (lambda: torch.backends.cudnn.version(), cuda_build().cudnn),
    "cudnn.is_available": (lambda: torch.backends.cudnn.is_available(), True),
    "cudnn.is_acceptable": (
        lambda: [torch.backends.cudnn.is_acceptable(x) for x in (one(), torch.ones(1))],
        [True, False],
    ),
    "cudnn.enabled": (lambda: torch.backends.cudnn.enabled, True),
    "cudnn.benchmark": (lambda: torch.backends.cudnn.benchmark, False),
    "cudnn.deterministic": (lambda: torch.backends.cudnn.deterministic, False),
    "cudnn.allow_tf32": (lambda: torch.backends.cudnn.allow_tf32, True),
    "cudnn.benchmark_limit": (lambda: torch.backends.cudnn.benchmark_limit, 10),
    "cudnn.flags": (lambda: run_in(torch.backends.cudnn.flags(benchmark=True)), True),
    "cusparselt.is_available": (lambda: torch.backends.cusparselt.is_available(), True),
    "cusparselt.version": (lambda: torch.backends.cusparselt.version(), cuda_build().cusparselt),
    "version.cuda": (lambda: torch.version.cuda, cuda_build().cuda),
    "config": (lambda: f"CUDA Runtime {cuda_build().cuda}" in torch.__config__.show(), True),
    "get_autocast_dtype": (lambda: torch.get_autocast_dtype("cuda"), torch.float16),
    "is_autocast_available": (lambda: torch.amp.is_autocast_available("cuda"), True),
    "get_device_module": (lambda: torch.get_device_module(), torch.cuda),
    "cudart.cudaHostRegister": (
        lambda: cuda.cudart().cudaHostRegister(0, 0, 0),
        refused("cudaHostRegister"),
    ),
}

TABLES: dict[str, tuple[ModuleType, Rows]] = {
    "torch.cuda": (torch.cuda, CUDA),
    "torch.accelerator": (torch.accelerator, ACCELERATOR),
    "torch.backends.cuda": (torch.backends.cuda, BACKEND),
    "torch.cuda.tunable": (torch.cuda.tunable, TUNABLE),
}

#: Every row of what this torch has: the call, and what it must give.
ROWS = [
    pytest.param(call, expected, id=f"{place}.{name}")
    for place, (module, rows) in TABLES.items()
    for name, (call, expected) in rows.items()
    if hasattr(module, name)
]
ROWS += [pytest.param(call, expected, id=name) for name, (call, expected) in OTHERS.items()]


@pytest.mark.parametrize("place", TABLES)
def test_every_public_name_has_a_row(place: str) -> None:
    module, rows = TABLES[place]
    names = set(module.__all__) - TYPES
    modules = {name for name in names if inspect.ismodule(getattr(module, name))}
    assert names - modules - rows.keys() == set()


@pytest.mark.parametrize(("call", "expected"), ROWS)
def test_the_name_answers(call: Callable[[], Any], expected: Any) -> None:
    try:
        value = call()
    except Exception as raised:  # noqa: BLE001  (a row may expect it)
        value = raised
    if isinstance(value, Exception):
        assert not any(leak in str(value) for leak in LEAKS)
    if inspect.isfunction(expected):
        assert expected(value), repr(value)
    else:
        assert value == expected


@pytest.mark.parametrize("name", sorted(TYPES))
def test_legacy_types_make_device_tensors(name: str) -> None:
    kind = getattr(torch.cuda, name)
    if name == "BFloat16Storage" or not name.endswith("Storage"):
        assert kind(3).is_cuda
    else:
        storage = kind(3)
        assert storage.device == torch.device("cuda", 0)
        assert len(storage) == 3
