"""Copies: what crosses, in which inner copies, through which memory."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
import torch

pytestmark = [
    pytest.mark.usefixtures("cuda"),
    # What these tests do on purpose.
    pytest.mark.filterwarnings("ignore:Warning only once for all operators"),
]

Crossing = tuple[str, str, str, bool]


@contextlib.contextmanager
def watched(operator: str) -> Iterator[list[tuple[Any, ...]]]:
    """Arguments of every call of an operator that reaches the device inside the block."""
    kernel = torch.library.get_kernel(f"aten::{operator}", "CUDA")
    calls: list[tuple[Any, ...]] = []

    def watch(keys: Any, *args: Any) -> Any:
        calls.append(args)
        return kernel.call_boxed(keys, *args)

    library = torch.library.Library("aten", "IMPL")
    library.impl(operator, watch, "CUDA", with_keyset=True, allow_override=True)
    try:
        yield calls
    finally:
        library._destroy()


def _crossings(calls: list[tuple[Any, ...]]) -> list[Crossing]:
    """The calls that crossed as plain bytes: (source, target, dtype, non_blocking)."""
    found = []
    for target, source, *rest in calls:
        is_packed = target.is_contiguous() == source.is_contiguous()
        if target.device != source.device and target.dtype == source.dtype and is_packed:
            kinds = source.device.type, target.device.type
            found.append((*kinds, str(source.dtype)[6:], bool(rest and rest[0])))
    return found


def test_a_plain_upload_crosses_once() -> None:
    with watched("copy_") as calls:
        torch.ones(3).to("cuda")
    assert _crossings(calls) == [("cpu", "cuda", "float32", False)]


def test_a_blocking_upload_converts_on_the_host() -> None:
    with watched("copy_") as calls:
        torch.ones(3, dtype=torch.float64).to("cuda", torch.float32)
    assert _crossings(calls) == [("cpu", "cuda", "float32", False)]


def test_a_non_blocking_upload_converts_on_the_device() -> None:
    with watched("copy_") as calls:
        torch.ones(3, dtype=torch.uint8).to("cuda", torch.float32, non_blocking=True)
    assert _crossings(calls) == [("cpu", "cuda", "uint8", True)]


def test_a_blocking_download_crosses_in_the_dtype_of_the_device() -> None:
    x = torch.ones(3, device="cuda")
    with watched("copy_") as calls:
        x.to("cpu", torch.float64)
    assert _crossings(calls) == [("cuda", "cpu", "float32", False)]


def test_a_strided_copy_is_packed_first() -> None:
    target = torch.zeros(3, 2, device="cuda").t()
    with watched("copy_") as calls:
        target.copy_(torch.arange(6.0).view(2, 3))
    assert _crossings(calls)[0] == ("cpu", "cuda", "float32", False)
    assert target.cpu().tolist() == [[0, 1, 2], [3, 4, 5]]


def test_hidden_uploads_are_made() -> None:
    x = torch.arange(4.0, device="cuda")
    with watched("copy_") as calls:
        picked = x[torch.tensor([0, 2])]
    assert _crossings(calls) == [("cpu", "cuda", "int64", False)]
    with watched("copy_") as calls:
        x[torch.tensor([1])] = torch.tensor(9.0)
    assert {source for source, *_ in _crossings(calls)} == {"cpu"}
    with watched("copy_") as calls:
        torch.tensor([1, 2, 3], device="cuda")
    assert _crossings(calls) == [("cpu", "cuda", "int64", False)]
    assert picked.tolist() == [0, 2]
    assert x.tolist() == [0, 9, 2, 3]


def test_printing_reads_the_device() -> None:
    x = torch.tensor([1.5, 2.5], device="cuda")
    with watched("_local_scalar_dense") as reads:
        text = repr(x)
    assert text == "tensor([1.5000, 2.5000], device='cuda:0')"
    assert reads


def test_a_boolean_mask_waits_like_nonzero_but_filling_by_mask_does_not() -> None:
    x = torch.tensor([1.0, -2.0, 3.0], device="cuda")
    mask = x > 0
    with watched("nonzero") as calls:
        selected = x[mask]
        assert len(calls) == 1
        x[mask] = 0.0
        assert len(calls) == 1
        x[mask] = torch.tensor([5.0, 6.0], device="cuda")
        assert len(calls) == 2
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
