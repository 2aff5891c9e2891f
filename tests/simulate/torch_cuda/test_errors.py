"""What fails on a GPU fails here, in PyTorch's own words: a table of calls and what they say.

Each row names where its text comes from: a file of PyTorch's source, or ``CUDA build``: read from
the libraries of PyPI's torch 2.13.0 for CUDA 13, or said by them on a machine without a driver.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812  # its usual name

from placeaudit.simulate.torch_cuda.cuda_build import cuda_build

pytestmark = pytest.mark.usefixtures("cuda")

ITERATOR = "aten/src/ATen/TensorIterator.cpp, compute_types"
WRAPPER = "c10/core/impl + torchgen/dest/register_dispatch_key.py; method names: CUDA build"
CHECK = (
    "CUDA build: c10_cuda_check_implementation, get_cuda_error_help, get_cuda_async_error_suffix"
)

legacy: Any = torch.cuda  # its types are made in C++

#: What of a CPU build would give the simulation away.
LEAKS = ("not compiled with CUDA", "ATen_cuda", "without USE_CUDA", "dummy base", "no attribute")


class Case(NamedTuple):
    """A call, the error it must raise with exactly this text, and where the text comes from."""

    call: Callable[[], Any]
    error: type[BaseException]
    text: str
    source: str


def dev(*size: int) -> torch.Tensor:
    return torch.ones(*size, device="cuda")


def peer(*size: int) -> torch.Tensor:
    return torch.ones(*size, device="cuda:1")


def host(*size: int) -> torch.Tensor:
    return torch.ones(*size)


def at(*values: int, device: str = "cpu") -> torch.Tensor:
    return torch.tensor(values, device=device)


def mixed(argument: str, there: str, common: str, method: str) -> str:
    return (
        f"Expected all tensors to be on the same device, but got {argument} is on {there}, "
        f"different from other tensors on {common} (when checking argument in method "
        f"wrapper_CUDA_{method})"
    )


def found(first: str = "cuda:0", second: str = "cpu") -> str:
    return (
        "Expected all tensors to be on the same device, but found at least two devices, "
        f"{first} and {second}!"
    )


def invalid_device() -> str:
    return (
        "CUDA error: invalid device ordinal\nGPU device may be out of range, do you have enough "
        f"GPUs?{cuda_build().error_suffix}"
    )


def options(dtype: str, device: str) -> str:
    return (
        f"TensorOptions(dtype={dtype}, device={device}, layout=Strided, requires_grad=false "
        "(default), pinned_memory=false (default), memory_format=(nullopt))"
    )


ITERATED: dict[str, Callable[[], Any]] = {
    "add": lambda: dev(2) + host(2),
    "radd": lambda: host(2) + dev(2),
    "in-place": lambda: dev(2).mul_(host(2)),
    "host-in-place": lambda: host(2).mul_(dev(2)),
    "host-scalar-in-place": lambda: torch.tensor(1.0).add_(torch.tensor(1.0, device="cuda")),
    "out": lambda: torch.add(dev(2), 1, out=host(2)),
    "compare": lambda: dev(2) > host(2),
    "maximum": lambda: torch.maximum(dev(2), host(2)),
    "where": lambda: torch.where(host(2) > 0, dev(2), dev(2)),
    "lerp": lambda: torch.lerp(dev(2), host(2), 0.5),
    "addcmul": lambda: torch.addcmul(dev(2), host(2), dev(2)),
    "mse-loss": lambda: F.mse_loss(dev(2), host(2)),
    "l1-loss": lambda: F.l1_loss(dev(2), host(2)),
    "bce-with-logits": lambda: F.binary_cross_entropy_with_logits(dev(2), host(2)),
    "index-assignment": lambda: dev(4).__setitem__(at(0, 1), host(2)),
    "index-assignment-on-host": lambda: host(4).__setitem__(at(0, 1), dev(2)),
}

WRAPPED: dict[str, tuple[Callable[[], Any], str]] = {
    "mm": (lambda: dev(2, 2) @ host(2, 2), mixed("mat2", "cpu", "cuda:0", "mm")),
    "host-mm": (lambda: host(2, 2) @ dev(2, 2), mixed("mat2", "cuda:0", "cpu", "mm")),
    "mm-out": (
        lambda: torch.mm(dev(2, 2), dev(2, 2), out=host(2, 2)),
        mixed("self", "cuda:0", "cpu", "mm_out_out"),
    ),
    "bmm": (
        lambda: torch.bmm(dev(1, 2, 2), host(1, 2, 2)),
        mixed("mat2", "cpu", "cuda:0", "bmm"),
    ),
    "two-devices": (lambda: dev(2, 2) @ peer(2, 2), mixed("mat2", "cuda:1", "cuda:0", "mm")),
    "linear": (
        lambda: nn.Linear(2, 2).cuda()(host(1, 2)),
        mixed("mat1", "cpu", "cuda:0", "addmm"),
    ),
    "linear-on-host": (
        lambda: nn.Linear(2, 2)(dev(1, 2)),
        mixed("mat1", "cuda:0", "cpu", "addmm"),
    ),
    "dot": (lambda: torch.dot(dev(2), host(2)), mixed("tensor", "cpu", "cuda:0", "_dot")),
    "cat": (lambda: torch.cat([dev(2), host(2)]), mixed("tensors", "cpu", "cuda:0", "cat")),
    "stack": (lambda: torch.stack([host(2), dev(2)]), mixed("tensors", "cuda:0", "cpu", "cat")),
    "embedding": (
        lambda: nn.Embedding(3, 2).cuda()(at(1)),
        mixed("index", "cpu", "cuda:0", "_index_select"),
    ),
    "embedding-on-host": (
        lambda: nn.Embedding(3, 2)(at(1, device="cuda")),
        mixed("index", "cuda:0", "cpu", "_index_select"),
    ),
    "gather": (lambda: dev(3).gather(0, at(0)), mixed("index", "cpu", "cuda:0", "gather")),
    "scatter": (
        lambda: dev(3).scatter(0, at(0, device="cuda"), host(1)),
        mixed("src", "cpu", "cuda:0", "scatter_src"),
    ),
    "index-add": (
        lambda: dev(3).index_add(0, at(0), dev(1)),
        mixed("index", "cpu", "cuda:0", "index_add"),
    ),
    "masked-select": (
        lambda: dev(2).masked_select(host(2) > 0),
        mixed("mask", "cpu", "cuda:0", "_masked_select"),
    ),
    "take": (lambda: dev(3).take(at(0)), mixed("index", "cpu", "cuda:0", "_take")),
    "clamp": (lambda: dev(2).clamp(min=host(2)), mixed("min", "cpu", "cuda:0", "clamp_Tensor")),
    "cross-entropy": (
        lambda: F.cross_entropy(dev(2, 3), at(0, 1)),
        mixed("target", "cpu", "cuda:0", "nll_loss_forward"),
    ),
    "cross-entropy-weight": (
        lambda: F.cross_entropy(dev(1, 3), at(0, device="cuda"), weight=host(3)),
        mixed("weight", "cpu", "cuda:0", "nll_loss_forward"),
    ),
    "layer-norm": (
        lambda: nn.LayerNorm(3)(dev(2, 3)),
        mixed("weight", "cpu", "cuda:0", "_native_layer_norm"),
    ),
    "topk-out": (
        lambda: torch.topk(dev(3), 1, out=(host(1), at(0, device="cuda"))),
        mixed("indices", "cuda:0", "cpu", "topk_out_values"),
    ),
    "kthvalue-out": (
        lambda: torch.kthvalue(dev(3), 1, out=(host(1), at(0, device="cuda"))),
        mixed("indices", "cuda:0", "cpu", "values_kthvalue_out"),
    ),
}

ORDINALS: dict[str, Callable[[], Any]] = {
    "zeros": lambda: torch.zeros(1, device="cuda:5"),
    "tensor": lambda: torch.tensor([1.0], device="cuda:5"),
    "to": lambda: host(1).to("cuda:99"),
    "cuda": lambda: host(1).cuda(2),
    "peer-to": lambda: dev(1).to("cuda:2"),
    "module": lambda: nn.Linear(2, 2).to("cuda:7"),
    "like": lambda: torch.empty_like(host(1), device="cuda:3"),
    "device-object": lambda: torch.rand(1, device=torch.device("cuda", 2)),
    "number": lambda: torch.zeros(1, device=5),
    "storage": lambda: torch.UntypedStorage(4, device="cuda:4"),
    "set_device": lambda: torch.cuda.set_device(4),
    "context": lambda: torch.cuda.device(4).__enter__(),
    "accelerator": lambda: torch.accelerator.set_device_index(4),
    "synchronize": lambda: torch.cuda.synchronize(4),
    "stream": lambda: torch.cuda.Stream(4),
    "mem_get_info": lambda: torch.cuda.mem_get_info(4),
}

#: Values that a kernel asserts on.
ASSERTED: dict[str, Callable[[], Any]] = {
    "embedding": lambda: F.embedding(at(9, device="cuda"), dev(2, 2)),
    "cross-entropy": lambda: F.cross_entropy(dev(1, 3), at(7, device="cuda")),
    "cross-entropy-of-images": lambda: F.cross_entropy(
        dev(1, 3, 1, 1), torch.full((1, 1, 1), 7, device="cuda")
    ),
    "index": lambda: dev(3)[at(7, device="cuda")],
    "index-from-host": lambda: dev(3)[at(7)],
    "index-assignment": lambda: dev(3).__setitem__(at(7, device="cuda"), 1.0),
    "gather": lambda: dev(3).gather(0, at(7, device="cuda")),
    "scatter": lambda: dev(3).scatter(0, at(7, device="cuda"), 1.0),
    "index_select": lambda: dev(3).index_select(0, at(7, device="cuda")),
    "take": lambda: dev(3).take(at(7, device="cuda")),
    "binary-cross-entropy": lambda: F.binary_cross_entropy(dev(2) * 2, dev(2)),
    "one-hot": lambda: F.one_hot(at(7, device="cuda"), 3),
}


def loaded_elsewhere() -> None:
    buffer = io.BytesIO()
    torch.save(dev(1), buffer)
    buffer.seek(0)
    torch.load(buffer, map_location="cuda:6")


def moved_twice() -> None:
    event = torch.cuda.Event()
    event.record()
    event.record(torch.cuda.Stream("cuda:1"))


CASES: dict[str, Case] = {
    "index-on-another-device": Case(
        lambda: dev(3)[at(0, device="cuda:1")],
        RuntimeError,
        "indices should be either on cpu or on the same device as the indexed tensor (cuda:0)",
        "TensorAdvancedIndexing.cpp, check_indices_on_cpu_or_selfdevice",
    ),
    "device-index-of-a-host-tensor": Case(
        lambda: host(3)[at(0, device="cuda")],
        RuntimeError,
        "indices should be either on cpu or on the same device as the indexed tensor (cpu)",
        "TensorAdvancedIndexing.cpp, check_indices_on_cpu_or_selfdevice",
    ),
    "accumulated-value": Case(
        lambda: dev(3).index_put_((at(0, 1, device="cuda"),), host(2), accumulate=True),
        RuntimeError,
        "expected device cuda:0 but got device cpu for value tensor",
        "TensorAdvancedIndexing.cpp, _index_put_impl_",
    ),
    "mask": Case(
        lambda: dev(2).masked_fill(host(2) > 0, 0),
        RuntimeError,
        "expected self and mask to be on the same device, but got mask on cpu and self on cuda:0",
        "aten/src/ATen/native/cuda/Indexing.cu, masked_fill__cuda",
    ),
    "host-scalars": Case(
        lambda: torch.addcmul(dev(2), torch.tensor(1.0), torch.tensor(1.0)),
        RuntimeError,
        "Trying to pass too many CPU scalars to non-CPU kernel!",
        ITERATOR,
    ),
    "convolution": Case(
        lambda: nn.Conv2d(1, 1, 1).cuda()(host(1, 1, 2, 2)),
        RuntimeError,
        "Input type (torch.FloatTensor) and weight type (torch.cuda.FloatTensor) "
        "should be the same",
        "Convolution.cpp, check_input_same_type_as_parameters",
    ),
    "convolution-dtype": Case(
        lambda: nn.Conv2d(1, 1, 1, bias=False).cuda()(dev(1, 1, 2, 2).half()),
        RuntimeError,
        "Input type (torch.cuda.HalfTensor) and weight type (torch.cuda.FloatTensor) "
        "should be the same",
        "Convolution.cpp, check_input_same_type_as_parameters",
    ),
    "convolution-dtype-of-the-bias": Case(
        lambda: nn.Conv2d(1, 1, 1).cuda()(dev(1, 1, 2, 2).half()),
        RuntimeError,
        "Input type (c10::Half) and bias type (float) should be the same",
        "Convolution.cpp, conv2d_symint, above the device",
    ),
    "recurrent": Case(
        lambda: nn.LSTM(3, 3).cuda()(host(2, 1, 3)),
        RuntimeError,
        "Input and parameter tensors are not at the same device, found input tensor at cpu and "
        "parameter tensor at cuda:0",
        "aten/src/ATen/native/RNN.cpp, check_attributes",
    ),
    "recurrent-state": Case(
        lambda: nn.GRU(3, 3).cuda()(dev(2, 1, 3), host(1, 1, 3)),
        RuntimeError,
        "Input and hidden tensors are not at the same device, found input tensor at cuda:0 and "
        "hidden tensor at cpu",
        "aten/src/ATen/native/RNN.cpp, check_attributes",
    ),
    "generator-of-the-host": Case(
        lambda: torch.rand(2, device="cuda", generator=torch.Generator()),
        RuntimeError,
        "Expected a 'cuda' device type for generator but found 'cpu'",
        "aten/src/ATen/core/Generator.h, check_generator",
    ),
    "generator-of-the-host-in-place": Case(
        lambda: dev(2).normal_(generator=torch.Generator()),
        RuntimeError,
        "Expected a 'cuda' device type for generator but found 'cpu'",
        "aten/src/ATen/core/Generator.h, check_generator",
    ),
    "generator-of-a-device": Case(
        lambda: torch.rand(2, generator=torch.Generator("cuda")),
        RuntimeError,
        "Expected a 'cpu' device type for generator but found 'cuda'",
        "aten/src/ATen/core/Generator.h, check_generator",
    ),
    "generator-of-a-device-for-a-host-permutation": Case(
        lambda: torch.randperm(2, generator=torch.Generator("cuda")),
        RuntimeError,
        "Expected a 'cpu' generator device but found 'cuda:0'",
        "aten/src/ATen/native/TensorFactories.cpp, randperm",
    ),
    "generator-out-of-range": Case(
        lambda: torch.Generator("cuda:2"),
        RuntimeError,
        "The device_index is invalid.",
        "aten/src/ATen/cuda/CUDAGeneratorImpl.cpp, createCUDAGenerator",
    ),
    "numpy": Case(
        lambda: dev(1).numpy(),
        TypeError,
        "can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() to copy the tensor "
        "to host memory first.",
        "torch/csrc/utils/tensor_numpy.cpp",
    ),
    "pinning": Case(
        lambda: dev(1).pin_memory(),
        RuntimeError,
        "cannot pin 'torch.cuda.FloatTensor' only dense CPU tensors can be pinned",
        "aten/src/ATen/native/Memory.cpp",
    ),
    "copy-of-another-shape": Case(
        lambda: dev(4).copy_(host(3)),
        RuntimeError,
        "The size of tensor a (4) must match the size of tensor b (3) at non-singleton dimension 0",
        "aten/src/ATen/ExpandUtils.cpp, by way of Copy.cpp",
    ),
    "legacy-constructor": Case(
        lambda: legacy.FloatTensor(host(2)),
        TypeError,
        f"expected {options('float', 'cuda')} (got {options('float', 'cpu')})",
        "torch/csrc/utils/tensor_new.cpp, check_base_legacy_new",
    ),
    "legacy-constructor-of-the-host": Case(
        lambda: torch.FloatTensor(dev(2)),
        TypeError,
        f"expected {options('float', 'cpu')} (got {options('float', 'cuda:0')})",
        "torch/csrc/utils/tensor_new.cpp, check_base_legacy_new",
    ),
    "negative-index": Case(
        lambda: torch.zeros(1, device="cuda:-1"),
        RuntimeError,
        "Invalid device string: 'cuda:-1'",
        "c10/core/Device.cpp",
    ),
    "properties-out-of-range": Case(
        lambda: torch.cuda.get_device_properties(4),
        AssertionError,
        "Invalid device id",
        "torch/cuda/__init__.py",
    ),
    "peer-out-of-range": Case(
        lambda: torch.cuda.can_device_access_peer(0, 5),
        AssertionError,
        "Invalid peer device id",
        "torch/cuda/__init__.py",
    ),
    "statistics-out-of-range": Case(
        lambda: (torch.cuda.init(), torch.cuda.memory_allocated(4)),
        RuntimeError,
        "Invalid device argument \x04: did you call init?",
        "CUDA build: CUDACachingAllocator.cpp, assertValidDevice",
    ),
    "fraction": Case(
        lambda: torch.cuda.set_per_process_memory_fraction(2.0),
        ValueError,
        "Invalid fraction value: 2.0. Allowed range: 0~1",
        "torch/cuda/memory.py",
    ),
    "loading-to-a-device-that-is-not-there": Case(
        loaded_elsewhere,
        RuntimeError,
        "Attempting to deserialize object on CUDA device 6 but torch.cuda.device_count() is 2. "
        "Please use torch.load with map_location to map your storages to an existing device.",
        "torch/serialization.py, _validate_device",
    ),
    "events-without-timing": Case(
        lambda: torch.cuda.Event().elapsed_time(torch.cuda.Event()),
        ValueError,
        "Both events must be created with argument 'enable_timing=True'.",
        "CUDA build, said by torch.cuda.Event",
    ),
    "events-not-recorded": Case(
        lambda: torch.cuda.Event(enable_timing=True).elapsed_time(
            torch.cuda.Event(enable_timing=True)
        ),
        ValueError,
        "Both events must be recorded before calculating elapsed time.",
        "CUDA build, said by torch.cuda.Event",
    ),
    "event-of-another-device": Case(
        moved_twice,
        RuntimeError,
        "Event device 0 does not match recording stream's device 1.",
        "aten/src/ATen/cuda/CUDAEvent.h",
    ),
    "nccl-of-host-tensors": Case(
        lambda: torch.cuda.nccl.all_reduce([host(1)]),
        RuntimeError,
        "input and output elements have to be cuda dense Tensors",
        "CUDA build, said by torch.cuda.nccl",
    ),
}

CASES |= {f"iterated-{n}": Case(c, RuntimeError, found(), ITERATOR) for n, c in ITERATED.items()}
CASES |= {f"wrapped-{n}": Case(c, RuntimeError, t, WRAPPER) for n, (c, t) in WRAPPED.items()}
CASES |= {
    f"ordinal-{n}": Case(c, torch.AcceleratorError, invalid_device(), CHECK)
    for n, c in ORDINALS.items()
}
CASES["iterated-two-devices"] = Case(
    lambda: dev(2) + peer(2), RuntimeError, found("cuda:0", "cuda:1"), ITERATOR
)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_error_is_pytorchs(case: Case) -> None:
    with pytest.raises(case.error) as caught:
        case.call()
    assert str(caught.value) == case.text
    assert type(caught.value) is case.error
    assert not any(leak in str(caught.value) for leak in LEAKS)


def test_errors_of_cuda_have_its_code() -> None:
    with pytest.raises(torch.AcceleratorError) as caught:
        torch.zeros(1, device="cuda:5")
    assert caught.value.error_code == 101  # type: ignore[attr-defined]


@pytest.mark.parametrize("call", ASSERTED.values(), ids=ASSERTED)
def test_a_kernels_assertion_is_told_at_once(call: Callable[[], Any]) -> None:
    """On a device the next call that waits raises it; here the call itself, with the cause."""
    with pytest.raises(torch.AcceleratorError) as caught:
        call()
    assert str(caught.value) == (
        "CUDA error: device-side assert triggered\nSearch for `cudaErrorAssert' in "
        "https://docs.nvidia.com/cuda/cuda-runtime-api/group__CUDART__TYPES.html for more "
        f"information.{cuda_build().kernel_error_suffix}"
    )
    assert isinstance(caught.value.__cause__, (IndexError, RuntimeError))
    assert dev(1).item() == 1


def test_other_complaints_of_the_same_operators_stay() -> None:
    with pytest.raises(IndexError, match="supposed to be a vector"):
        dev(2).index_select(0, torch.zeros(1, 1, dtype=torch.int64, device="cuda"))


class TestOutOfMemory:
    """``CUDACachingAllocator.cpp``, ``malloc``; the advice differs by version (CUDA builds)."""

    def advice(self) -> str:
        build = cuda_build()
        site = "" if build.allocator_anchor == "environment-variables" else "docs."
        return (
            " If reserved but unallocated memory is large try setting "
            f"{build.allocator_variable}=expandable_segments:True to avoid fragmentation.  See "
            f"documentation for Memory Management  (https://{site}pytorch.org/docs/stable/notes/"
            f"cuda.html#{build.allocator_anchor})"
        )

    def test_a_request_above_the_capacity(self) -> None:
        torch.cuda.empty_cache()
        kept = torch.empty(1 << 20, dtype=torch.uint8, device="cuda:1")
        with pytest.raises(torch.cuda.OutOfMemoryError) as caught:
            torch.empty(20 << 30, device="cuda:1")
        assert str(caught.value) == (
            "CUDA out of memory. Tried to allocate 80.00 GiB. GPU 1 has a total capacity of "
            "79.19 GiB of which 79.19 GiB is free. Including non-PyTorch memory, this process has "
            "2.00 MiB memory in use. Of the allocated memory 1024.00 KiB is allocated by PyTorch, "
            "and 1024.00 KiB is reserved by PyTorch but unallocated." + self.advice()
        )
        assert type(caught.value) is torch.OutOfMemoryError
        assert kept.is_cuda
        stats = torch.cuda.memory_stats(1)
        assert (stats["num_ooms"], stats["num_alloc_retries"]) == (1, 1)

    def test_a_request_above_the_share(self) -> None:
        torch.cuda.empty_cache()
        torch.cuda.set_per_process_memory_fraction(0.25, 1)
        with pytest.raises(torch.OutOfMemoryError) as caught:
            torch.empty(30 << 30, dtype=torch.uint8, device="cuda:1")
        assert "Tried to allocate 30.00 GiB. GPU 1 has" in str(caught.value)
        assert "memory in use. 19.80 GiB allowed; Of the allocated memory" in str(caught.value)

    def test_small_requests_ask_for_a_segment(self) -> None:
        torch.cuda.set_per_process_memory_fraction(0.0, 1)
        for size, asked in ((4, "2.00 MiB"), (2 << 20, "20.00 MiB"), (11 << 20, "12.00 MiB")):
            with pytest.raises(torch.OutOfMemoryError, match=f"Tried to allocate {asked}"):
                torch.empty(size, dtype=torch.uint8, device="cuda:1")

    def test_results_and_uploads_need_room_too(self) -> None:
        torch.cuda.set_per_process_memory_fraction(1e-4, 1)  # 8 MiB
        x = torch.empty(3 << 20, dtype=torch.uint8, device="cuda:1")
        with pytest.raises(torch.OutOfMemoryError):
            torch.cat([x, x, x])
        with pytest.raises(torch.OutOfMemoryError):
            torch.empty(6 << 20, dtype=torch.uint8).to("cuda:1")
        del x
        assert torch.empty(6 << 20, dtype=torch.uint8).to("cuda:1").is_cuda

    def test_observers_are_told(self) -> None:
        told: list[tuple[int, ...]] = []
        observe: Any = vars(torch._C)["_cuda_attach_out_of_memory_observer"]
        observe(lambda *figures: told.append(figures))
        with pytest.raises(torch.OutOfMemoryError):
            torch.empty(90 << 30, dtype=torch.uint8, device="cuda")
        assert [row[:3] for row in told] == [(0, 90 << 30, 81089 << 20)]
