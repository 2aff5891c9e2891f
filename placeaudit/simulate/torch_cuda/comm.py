"""Copies among devices that ``torch.nn.DataParallel`` makes: ``torch/csrc/cuda/comm.cpp``.

Without NCCL, as that file does where a build lacks it.  Every copy enters the dispatcher.
"""

from __future__ import annotations

import contextlib
from collections import deque
from typing import TYPE_CHECKING, Any

import torch
from torch._utils import _flatten_dense_tensors, _take_tensors, _unflatten_dense_tensors

from placeaudit.simulate.torch_cuda.devices import index_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from placeaudit.simulate.torch_cuda.patches import Patches

__all__ = ["add_comm"]

Tensor = torch.Tensor


def _device(index: int) -> torch.device:
    return torch.device("cuda", index)


def _broadcast_out(tensor: Tensor, outputs: Sequence[Tensor]) -> list[Tensor]:
    for output in outputs:
        output.copy_(tensor, non_blocking=True)
    return list(outputs)


def _broadcast(tensor: Tensor, devices: Sequence[int]) -> list[Tensor]:
    """The tensor itself where it is already, a copy on every other device."""
    return [
        tensor
        if tensor.device == _device(index)
        else torch.empty_like(tensor, device=_device(index)).copy_(tensor, non_blocking=True)
        for index in devices
    ]


def _broadcast_coalesced(
    tensors: Sequence[Tensor],
    devices: Sequence[int],
    buffer_size: int,
) -> list[list[Tensor]]:
    """One list for each device; small tensors of a type cross together."""
    if any(tensor.device != _device(devices[0]) for tensor in tensors):
        message = f"All tensors must be on devices[0]: {devices[0]}"
        raise RuntimeError(message)
    found = [list(tensors) for _ in devices]
    kinds = [tensor.type() for tensor in tensors]
    waiting = {kind: deque(i for i, k in enumerate(kinds) if k == kind) for kind in kinds}
    for chunk in _take_tensors(tensors, buffer_size):  # in order within each type
        places = [waiting[tensor.type()].popleft() for tensor in chunk]
        flats = _broadcast(_flatten_dense_tensors(chunk), devices)
        for row, flat in zip(found[1:], flats[1:], strict=True):
            parts = _unflatten_dense_tensors(flat, chunk)
            for place, part in zip(places, parts, strict=True):
                row[place] = part.data  # with a version counter of its own, as comm.cpp notes
    return found


def _scatter(
    tensor: Tensor,
    devices: Sequence[int],
    chunk_sizes: Sequence[int] | None,
    dim: int,
    streams: Sequence[Any] | None,
) -> list[Tensor]:
    if chunk_sizes is None:
        chunks = tensor.chunk(len(devices), dim)
    else:
        chunks = tensor.split_with_sizes(list(chunk_sizes), dim)
    found = []
    for place, (chunk, index) in enumerate(zip(chunks, devices, strict=False)):
        stream = streams[place] if streams else None
        with contextlib.nullcontext() if stream is None else torch.cuda.stream(stream):
            found.append(chunk.to(_device(index), non_blocking=True))
    return found


def _scatter_out(
    tensor: Tensor,
    outputs: Sequence[Tensor],
    dim: int,
    streams: Sequence[Any] | None,
) -> list[Tensor]:
    del streams
    chunks = tensor.split_with_sizes([output.size(dim) for output in outputs], dim)
    for output, chunk in zip(outputs, chunks, strict=True):
        output.copy_(chunk, non_blocking=True)
    return list(outputs)


def _gather_out(tensors: Sequence[Tensor], output: Tensor, dim: int) -> Tensor:
    chunks = output.split_with_sizes([tensor.size(dim) for tensor in tensors], dim)
    for chunk, tensor in zip(chunks, tensors, strict=True):
        chunk.copy_(tensor, non_blocking=output.is_cuda)
    return output


def _gather(tensors: Sequence[Tensor], dim: int, destination: int | None) -> Tensor:
    """On the device of that index; on the current one for None, on the host for -1."""
    if any(not tensor.is_cuda for tensor in tensors):
        message = "Gather expects all inputs to be CUDA tensors"
        raise RuntimeError(message)
    first = tensors[0]
    size = list(first.size())
    size[dim] = sum(tensor.size(dim) for tensor in tensors)
    device = (
        torch.device("cpu")
        if destination == -1
        else _device(index_of(None) if destination is None else destination)
    )
    return _gather_out(tensors, first.new_empty(size, device=device), dim)


def add_comm(patches: Patches) -> None:
    """Supply the functions of a CUDA build's ``torch._C``."""
    patches.set_all(
        torch._C,
        {
            "_broadcast": _broadcast,
            "_broadcast_out": _broadcast_out,
            "_broadcast_coalesced": _broadcast_coalesced,
            "_scatter": _scatter,
            "_scatter_out": _scatter_out,
            "_gather": _gather,
            "_gather_out": _gather_out,
        },
    )
    # It would warn that this build is without NCCL at every reduction.
    patches.set(torch.cuda.nccl, "is_available", lambda _tensors: False)
