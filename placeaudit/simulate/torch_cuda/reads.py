"""Operators whose CUDA implementation reads from the device, or uploads to it, on its way.

Run on host aliases they would do neither, and an audit would miss the wait: each gets the steps
that PyTorch's own code takes before (and the checks that go with them), entering the dispatcher as
they do there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NoReturn

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    Kernel = Callable[..., Any]

__all__ = ["make_reads"]

Tensor = torch.Tensor
_MOST_CATEGORIES: Final = 1 << 24


def _raise(text: str) -> NoReturn:
    raise RuntimeError(text)


def _filled(kernel: Kernel) -> Kernel:
    """``fill_`` in Fill.cpp: a value elsewhere is read, one here is copied."""

    def fill(target: Tensor, value: Any) -> Tensor:
        if isinstance(value, Tensor) and value.dim() == 0 and value.device != target.device:
            return target.fill_(value.item())
        result: Tensor = kernel(target, value)
        return result

    return fill


def _require_mask(target: Tensor, mask: Tensor) -> None:
    if target.device != mask.device:
        _raise(
            "expected self and mask to be on the same device, but got mask on "
            f"{mask.device} and self on {target.device}"
        )


def _mask_filled(kernel: Kernel) -> Kernel:
    """``masked_fill__cuda`` in Indexing.cu: a value on the device is read."""

    def masked_fill(target: Tensor, mask: Tensor, value: Any) -> Tensor:
        if isinstance(value, Tensor):
            if value.dim() != 0:
                _raise(
                    "masked_fill_ only supports a 0-dimensional value tensor, but got tensor "
                    f"with {value.dim()} dimension(s)."
                )
            if not target.is_cuda:
                _raise("masked_fill_: Expected inputs to be on same device")
            return target.masked_fill_(mask, value.item())
        _require_mask(target, mask)
        result: Tensor = kernel(target, mask, value)
        return result

    return masked_fill


def _index_filled(kernel: Kernel) -> Kernel:
    """``index_fill_`` in TensorAdvancedIndexing.cpp: the value is read."""
    del kernel

    def index_fill(target: Tensor, dim: int, index: Tensor, value: Any) -> Tensor:
        number = value.item() if isinstance(value, Tensor) and value.dim() == 0 else value
        return target.index_fill_(dim, index, number)

    return index_fill


def _selected(kernel: Kernel) -> Kernel:
    """``where_self_out`` in TensorCompare.cpp: scalars on the host are uploaded."""

    def where(*operands: Any, **options: Any) -> Tensor:
        tensors = [item for item in operands if isinstance(item, Tensor)]
        device = next((item.device for item in tensors if item.is_cuda), None)
        if device is not None:
            operands = tuple(
                item.to(device)
                if isinstance(item, Tensor) and item.dim() == 0 and not item.is_cuda
                else item
                for item in operands
            )
        result: Tensor = kernel(*operands, **options)
        return result

    return where


def _drawn(kernel: Kernel) -> Kernel:
    """``multinomial`` in Distributions.cpp: without replacement the probabilities are checked."""

    def multinomial(
        weights: Tensor,
        num_samples: int,
        replacement: bool = False,
        **options: Any,
    ) -> Tensor:
        if num_samples <= 0 or not weights.is_floating_point():
            refused: Tensor = kernel(weights, num_samples, replacement, **options)
            return refused
        if weights.dim() and weights.size(-1) > _MOST_CATEGORIES:
            _raise("number of categories cannot exceed 2^24")
        if weights.numel() and (not replacement or num_samples == 1):
            if not ((weights.max() < float("inf")) & (weights.min() >= 0)).item():
                _raise("probability tensor contains either `inf`, `nan` or element < 0")
            sums = weights.sum() if weights.dim() == 1 else weights.sum(1)
            if (sums == 0).any().item():
                _raise("invalid multinomial distribution (sum of probabilities <= 0)")
        result: Tensor = kernel(weights, num_samples, replacement, **options)
        return result

    return multinomial


def _counted(kernel: Kernel) -> Kernel:
    """``_bincount_cuda`` in SummaryOps.cu: the least is downloaded, the greatest is read."""

    def bincount(values: Tensor, *arguments: Any, **options: Any) -> Tensor:
        if values.dim() == 1 and values.numel():
            if values.dtype != torch.uint8:
                values.min().cpu()
            values.max().item()
        result: Tensor = kernel(values, *arguments, **options)
        return result

    return bincount


def _binned(kernel: Kernel) -> Kernel:
    """``_histc_cuda`` in SummaryOps.cu: without limits both ends are downloaded."""

    def histc(values: Tensor, bins: int = 100, low: Any = 0, high: Any = 0, **options: Any) -> Any:
        if low == high and values.numel():
            values.min().cpu()
            values.max().cpu()
        return kernel(values, bins, low, high, **options)

    return histc


def _normal(kernel: Kernel) -> Kernel:
    """``CHECK_NORMAL_TENSOR_STD`` in DistributionTemplates.h: the least deviation is read."""

    def normal(mean: Any, std: Any, *arguments: Any, **options: Any) -> Tensor:
        if isinstance(std, Tensor) and std.numel():
            if std.is_complex():
                _raise("normal expects standard deviation to be non-complex")
            if not std.min().ge(0).item():
                _raise("normal expects all elements of std >= 0.0")
        result: Tensor = kernel(mean, std, *arguments, **options)
        return result

    return normal


def make_reads() -> dict[str, Callable[[Kernel], Kernel]]:
    """What goes around the generic kernel, by operator name."""
    return {
        "fill_.Tensor": _filled,
        "masked_fill_.Scalar": _mask_filled,
        "masked_fill_.Tensor": _mask_filled,
        "index_fill_.int_Tensor": _index_filled,
        "where.self": _selected,
        "where.self_out": _selected,
        "multinomial": _drawn,
        "multinomial.out": _drawn,
        "normal.float_Tensor": _normal,
        "normal.float_Tensor_out": _normal,
        "normal.Tensor_Tensor": _normal,
        "normal.Tensor_Tensor_out": _normal,
        "bincount": _counted,
        "histc": _binned,
        "histc.out": _binned,
    }
