"""Copies: what crosses, in which inner copies, through which memory."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

pytestmark = [
    pytest.mark.usefixtures("cuda"),
    # What these tests do on purpose.
    pytest.mark.filterwarnings("ignore:Warning only once for all operators"),
]

Crossing = tuple[str, str, str, bool]


@pytest.fixture
def crossings(cuda: object) -> Iterator[list[Crossing]]:
    """Every inner copy between devices: (source, target, dtype that crosses, non_blocking)."""
    found: list[Crossing] = []
    kernel = torch.library.get_kernel("aten::copy_", "CUDA")

    def watch(keys, target, source, non_blocking=False):  # type: ignore[no-untyped-def]
        plain = target.dtype == source.dtype and target.is_contiguous() == source.is_contiguous()
        if target.device != source.device and plain:
            found.append(
                (source.device.type, target.device.type, str(source.dtype)[6:], non_blocking)
            )
        return kernel.call_boxed(keys, target, source, non_blocking)

    library = torch.library.Library("aten", "IMPL")
    library.impl("copy_", watch, "CUDA", with_keyset=True)
    yield found
    library._destroy()


def test_a_plain_upload_crosses_once(crossings: list[Crossing]) -> None:
    torch.ones(3).to("cuda")
    assert crossings == [("cpu", "cuda", "float32", False)]


def test_a_blocking_upload_converts_on_the_host(crossings: list[Crossing]) -> None:
    torch.ones(3, dtype=torch.float64).to("cuda", torch.float32)
    assert crossings == [("cpu", "cuda", "float32", False)]


def test_a_non_blocking_upload_converts_on_the_device(crossings: list[Crossing]) -> None:
    torch.ones(3, dtype=torch.uint8).to("cuda", torch.float32, non_blocking=True)
    assert crossings == [("cpu", "cuda", "uint8", True)]


def test_a_blocking_download_crosses_in_the_dtype_of_the_device(crossings: list[Crossing]) -> None:
    torch.ones(3, device="cuda").to("cpu", torch.float64)
    assert crossings == [("cuda", "cpu", "float32", False)]


def test_a_strided_copy_is_packed_first(crossings: list[Crossing]) -> None:
    target = torch.zeros(3, 2, device="cuda").t()
    target.copy_(torch.arange(6.0).view(2, 3))
    assert target.cpu().tolist() == [[0, 1, 2], [3, 4, 5]]
    assert crossings[0] == ("cpu", "cuda", "float32", False)


def test_hidden_uploads_are_made(crossings: list[Crossing]) -> None:
    x = torch.arange(4.0, device="cuda")
    assert x[torch.tensor([0, 2])].tolist() == [0, 2]
    assert crossings[0] == ("cpu", "cuda", "int64", False)
    crossings.clear()
    x[torch.tensor([1])] = torch.tensor(9.0)
    assert {source for source, *_ in crossings} == {"cpu"}
    assert x.tolist()[1] == 9
    crossings.clear()
    torch.tensor([1, 2, 3], device="cuda")
    assert crossings == [("cpu", "cuda", "int64", False)]


def test_printing_reads_the_device(cuda: object) -> None:
    kernel = torch.library.get_kernel("aten::_local_scalar_dense", "CUDA")
    reads = []

    def watch(keys, tensor):  # type: ignore[no-untyped-def]
        reads.append(tensor.device)
        return kernel.call_boxed(keys, tensor)

    library = torch.library.Library("aten", "IMPL")
    library.impl("_local_scalar_dense", watch, "CUDA", with_keyset=True)
    text = repr(torch.tensor([1.5, 2.5], device="cuda"))
    library._destroy()
    assert text == "tensor([1.5000, 2.5000], device='cuda:0')"
    assert reads


def test_a_boolean_mask_waits_like_nonzero_but_filling_by_mask_does_not(cuda: object) -> None:
    kernel = torch.library.get_kernel("aten::nonzero", "CUDA")
    calls = []

    def watch(keys, tensor):  # type: ignore[no-untyped-def]
        calls.append(tensor.shape)
        return kernel.call_boxed(keys, tensor)

    library = torch.library.Library("aten", "IMPL")
    library.impl("nonzero", watch, "CUDA", with_keyset=True)
    x = torch.tensor([1.0, -2.0, 3.0], device="cuda")
    mask = x > 0
    selected = x[mask]
    assert len(calls) == 1
    x[mask] = 0.0
    assert len(calls) == 1
    x[mask] = torch.tensor([5.0, 6.0], device="cuda")
    assert len(calls) == 2
    library._destroy()
    assert selected.tolist() == [1, 3]
    assert x.tolist() == [5, -2, 6]


def test_pinned_memory_is_told_from_pageable() -> None:
    assert torch.ones(3).pin_memory().is_pinned()
    assert torch.empty(3, pin_memory=True).is_pinned()
    assert torch.empty_like(torch.ones(3), pin_memory=True).is_pinned()
    assert not torch.ones(3).is_pinned()
    assert torch.ones(4, pin_memory=True)[1:].is_pinned()


def test_a_non_blocking_download_lands_in_pinned_memory() -> None:
    x = torch.ones(3, device="cuda")
    assert x.to("cpu", non_blocking=True).is_pinned()
    assert not x.cpu().is_pinned()


def test_peers_copy_directly() -> None:
    x = torch.arange(3.0, device="cuda:0")
    y = x.to("cuda:1")
    assert y.device.index == 1
    assert y.tolist() == [0, 1, 2]
    assert y.data_ptr() != x.data_ptr()


def test_resize_keeps_the_elements_that_fit() -> None:
    x = torch.arange(4.0, device="cuda")
    x.resize_(2, 3)
    assert x.shape == (2, 3)
    assert x.flatten()[:4].tolist() == [0, 1, 2, 3]
