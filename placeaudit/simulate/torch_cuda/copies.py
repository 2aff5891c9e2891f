"""Copies and scalar reads of the simulated device, with the inner copies that a real one makes.

Follows ``aten/src/ATen/native/cuda/Copy.cu`` (``copy_kernel_cuda``): between contiguous tensors of
one dtype the bytes cross as they are; everything else goes through a contiguous temporary, made on
the side that converts, and the inner copy enters the dispatcher again, where recorders see it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from placeaudit.crossing import converts_at_source, crosses_plain
from placeaudit.simulate.torch_cuda.outputs import resize
from placeaudit.simulate.torch_cuda.retag import to_host
from placeaudit.simulate.torch_cuda.waits import SYNC_DEBUG, about_to_wait

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["make_copies"]

Tensor = torch.Tensor
_copy = torch.ops.aten.copy_.default._op
_scalar = torch.ops.aten._local_scalar_dense.default._op


def _host(tensor: Tensor) -> Tensor:
    return to_host(tensor) if tensor.is_cuda else tensor


def _through_temporary(target: Tensor, source: Tensor, *, non_blocking: bool) -> None:
    """``copy_requires_temporaries``: convert and pack on one side, then copy plain bytes."""
    converts_first = converts_at_source(to_device=target.is_cuda, non_blocking=non_blocking)
    try:
        expanded = source.expand_as(target)
    except RuntimeError:
        _copy(_host(target), _host(source), non_blocking)  # refuses the sizes in its own words
        raise
    if converts_first:
        packed = expanded.to(target.dtype).contiguous()
        landing = target if target.is_contiguous() else _like(target, target.dtype)
    else:
        packed = expanded.contiguous()
        as_is = target.is_contiguous() and target.dtype == source.dtype
        landing = target if as_is else _like(target, source.dtype)
    if packed.is_conj() != landing.is_conj():
        packed = packed.resolve_conj()
    if packed.is_neg() != landing.is_neg():
        packed = packed.resolve_neg()
    _copy(landing, packed, non_blocking)
    if landing is not target:
        _copy(target, landing, non_blocking)


def _like(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    return torch.empty_like(tensor, dtype=dtype, memory_format=torch.contiguous_format)


def _copy_kernel(target: Tensor, source: Any, non_blocking: bool = False) -> Tensor:
    if not isinstance(source, Tensor):  # a wrapped number arrives as a number
        source = torch.scalar_tensor(source, dtype=target.dtype, device="cpu")
    crosses_host = target.is_cuda != source.is_cuda
    if crosses_host and target.numel():
        if not crosses_plain(target, source):
            _through_temporary(target, source, non_blocking=non_blocking)
            return target
        if SYNC_DEBUG.mode and not non_blocking:
            about_to_wait()
    _copy(_host(target), _host(source), non_blocking)
    return target


def _scalar_kernel(tensor: Tensor) -> object:
    if SYNC_DEBUG.mode:
        about_to_wait()
    return _scalar(to_host(tensor))


def _resize_kernel(
    tensor: Tensor,
    size: list[int],
    *,
    memory_format: torch.memory_format | None = None,
) -> Tensor:
    resize(tensor, size, memory_format)
    return tensor


def make_copies() -> dict[str, Callable[..., Any]]:
    """Kernels by operator name."""
    return {
        "copy_": _copy_kernel,
        "_local_scalar_dense": _scalar_kernel,
        "resize_": _resize_kernel,
    }
