"""The operators of ``SyncBatchNorm``, which only devices have.

Each is what ``aten/src/ATen/native/cuda/Normalization.cuh`` computes, in the accumulation type.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from placeaudit.simulate.torch_cuda.retag import to_plain_device, to_plain_host

if TYPE_CHECKING:
    from collections.abc import Callable

    from placeaudit.simulate.torch_cuda.patches import Patches

__all__ = ["add_syncnorm"]

Tensor = torch.Tensor


def _wide(tensor: Tensor) -> Tensor:
    host = to_plain_host(tensor)
    return host if host.dtype == torch.float64 else host.float()


def _along_channels(values: Tensor, like: Tensor) -> Tensor:
    return values.view(1, -1, *[1] * (like.dim() - 2))


def _over_all_but_channels(tensor: Tensor) -> Tensor:
    return tensor.sum([dim for dim in range(tensor.dim()) if dim != 1])


def _stats(input: Tensor, eps: float) -> tuple[Tensor, Tensor]:  # noqa: A002
    """``batch_norm_stats``: mean and reciprocal deviation of each channel."""
    values, index = _wide(input), input.get_device()
    dims = [dim for dim in range(values.dim()) if dim != 1]
    variance, mean = torch.var_mean(values, dims, correction=0)
    return to_plain_device(mean, index), to_plain_device((variance + eps).rsqrt(), index)


def _elemt(
    input: Tensor,  # noqa: A002
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor,
    invstd: Tensor,
    eps: float,
) -> Tensor:
    """``batch_norm_elemt``: normalized, scaled and shifted."""
    del eps
    values = _wide(input)
    result = (values - _along_channels(_wide(mean), values)) * _along_channels(
        _wide(invstd), values
    )
    if weight is not None:
        result = result * _along_channels(_wide(weight), values)
    if bias is not None:
        result = result + _along_channels(_wide(bias), values)
    return to_plain_device(result.to(input.dtype), input.get_device())


def _gather_stats(
    input: Tensor,  # noqa: A002
    mean: Tensor,
    invstd: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    momentum: float,
    eps: float,
    counts: Tensor | int,
) -> tuple[Tensor, Tensor]:
    """``batch_norm_gather_stats[_with_counts]``: one mean and deviation of those of all ranks."""
    means, deviations = _wide(mean), _wide(invstd)
    if isinstance(counts, Tensor):
        sizes = _wide(counts).view(-1).tolist()
    else:
        sizes = [float(counts)] * means.size(0)
    total, average, squares = 0.0, torch.zeros_like(means[0]), torch.zeros_like(means[0])
    for size, other, reciprocal in zip(sizes, means, deviations, strict=True):
        share = 1 / (total + size)
        squares += (reciprocal**-2 - eps) * size + (average - other) ** 2 * total * size * share
        average = total * share * average + size * share * other
        total += size
    for running, value in ((running_mean, average), (running_var, squares / (total - 1))):
        if running is not None:
            host = to_plain_host(running)
            host.copy_((1 - momentum) * host + momentum * value)
    index = input.get_device()
    return to_plain_device(average, index), to_plain_device((squares / total + eps).rsqrt(), index)


def _backward_reduce(
    grad_out: Tensor,
    input: Tensor,  # noqa: A002
    mean: Tensor,
    invstd: Tensor,
    weight: Tensor | None,
    input_g: bool,
    weight_g: bool,
    bias_g: bool,
) -> tuple[Tensor | None, ...]:
    """``batch_norm_backward_reduce``: the sums over a batch, and the parameters' gradients."""
    grad, values, index = _wide(grad_out), _wide(input), input.get_device()
    sum_dy = _over_all_but_channels(grad)
    sum_dy_xmu = _over_all_but_channels(grad * (values - _along_channels(_wide(mean), values)))
    dtype = sum_dy.dtype if weight is None else weight.dtype
    found: tuple[Tensor | None, ...] = (
        sum_dy if input_g else None,
        sum_dy_xmu if input_g else None,
        (sum_dy_xmu * _wide(invstd)).to(dtype) if weight_g else None,
        sum_dy.to(dtype, copy=True) if bias_g else None,
    )
    return tuple(None if item is None else to_plain_device(item, index) for item in found)


def _backward_elemt(
    grad_out: Tensor,
    input: Tensor,  # noqa: A002
    mean: Tensor,
    invstd: Tensor,
    weight: Tensor | None,
    sum_dy: Tensor,
    sum_dy_xmu: Tensor,
    count: Tensor,
) -> Tensor:
    """``batch_norm_backward_elemt``: the input's gradient."""
    grad, values, reciprocal = _wide(grad_out), _wide(input), _wide(invstd)
    share = 1 / _wide(count).sum()
    slope = reciprocal**2 * _wide(sum_dy_xmu) * share
    scale = reciprocal if weight is None else reciprocal * _wide(weight)
    centred = values - _along_channels(_wide(mean), values)
    result = grad - _along_channels(_wide(sum_dy) * share, values)
    result = (result - centred * _along_channels(slope, values)) * _along_channels(scale, values)
    return to_plain_device(result.to(input.dtype), input.get_device())


_KERNELS: dict[str, Callable[..., Any]] = {
    "batch_norm_stats": _stats,
    "batch_norm_elemt": _elemt,
    "batch_norm_gather_stats": _gather_stats,
    "batch_norm_gather_stats_with_counts": _gather_stats,
    "batch_norm_backward_reduce": _backward_reduce,
    "batch_norm_backward_elemt": _backward_elemt,
}


def add_syncnorm(patches: Patches) -> None:
    """Put the kernels on the CUDA key."""
    library = torch.library.Library("aten", "IMPL")
    patches.on_undo(library._destroy)
    for name, kernel in _KERNELS.items():
        library.impl(name, kernel, "CUDA", allow_override=True)
