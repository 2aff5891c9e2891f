"""Advanced indexing, with the transfers a real device makes on the way.

``aten/src/ATen/native/IndexingUtils.h`` and ``TensorAdvancedIndexing.cpp``: a boolean mask becomes
index tensors through ``nonzero`` (the host waits for their size, unless the mask is its own), and
index tensors on another device are copied to the indexed tensor's device.  Both enter the
dispatcher here as they do there.
``x[mask] = scalar`` becomes ``masked_fill_`` and does neither.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from placeaudit.simulate.torch_cuda.retag import to_device, to_host

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["make_indexing"]

Tensor = torch.Tensor
Indices = "Sequence[Tensor | None]"
_MASKS = (torch.bool, torch.uint8)
_index = torch.ops.aten.index.Tensor._op
_index_put = torch.ops.aten._index_put_impl_.default._op


def _expanded(
    indexed: Tensor, indices: Sequence[Tensor | None], *, sorts: bool = False
) -> list[Tensor | None]:
    """Index tensors on the device of ``indexed``, masks replaced by what ``nonzero`` finds.

    ``sorts`` is what accumulating does (``makeLinearIndex`` in Indexing.cu): there the positions of
    a mask on the host cross like other indices on the host.
    """
    device = indexed.device
    found: list[Tensor | None] = []
    for index in indices:
        if index is None:
            found.append(None)
            continue
        parts: Sequence[Tensor] = (index,)
        if index.dtype in _MASKS:
            _check_mask(indexed, index, len(found))
            positions = _positions(index, device) if index.is_cpu and not sorts else index.nonzero()
            parts = positions.unbind(1)
        for part in parts:
            moved = part if part.device == device else part.to(device)
            found.append(to_host(moved))
    return found


def _positions(mask: Tensor, device: torch.device) -> Tensor:
    """Where a mask on the host is true: crosses from pinned memory, and nobody waits."""
    pinned = torch.empty(0, dtype=torch.int64, device="cpu", pin_memory=True)
    return torch.nonzero(mask, out=pinned).to(device, non_blocking=True)


def _check_mask(indexed: Tensor, mask: Tensor, first: int) -> None:
    for dim in range(mask.dim()):
        if mask.size(dim) != indexed.size(first + dim):
            message = (
                f"The shape of the mask {list(mask.shape)} at index {dim} does not match the "
                f"shape of the indexed tensor {list(indexed.shape)} at index {first + dim}"
            )
            raise IndexError(message)


def _index_kernel(indexed: Tensor, indices: Sequence[Tensor | None]) -> Tensor:
    device = indexed.device
    for index in indices:
        if index is not None and not index.is_cpu and index.device != device:
            # ``check_indices_on_cpu_or_selfdevice`` in TensorAdvancedIndexing.cpp
            message = (
                "indices should be either on cpu or on the same device as the indexed tensor "
                f"({device})"
            )
            raise RuntimeError(message)
    host = _expanded(indexed, indices)
    return to_device(_index(to_host(indexed), host), indexed.get_device())


def _fills_mask(indices: Sequence[Tensor | None], values: Tensor, *, accumulate: bool) -> bool:
    """``canDispatchToMaskedFill``: one mask and one number, so nothing has to be counted."""
    if accumulate or values.numel() != 1 or values.device.type != "cpu":
        return False
    given = [index for index in indices if index is not None]
    return len(given) == 1 and given[0].dtype in _MASKS and given[0].is_cuda


def _index_put_kernel(
    target: Tensor,
    indices: Sequence[Tensor | None],
    values: Any,  # a wrapped number arrives as a number
    accumulate: bool = False,
    unsafe: bool = False,
) -> Tensor:
    if not isinstance(values, Tensor):
        values = torch.scalar_tensor(values, dtype=target.dtype, device="cpu")
    if not target.is_cuda:
        return _put_on_host(target, indices, values, accumulate, unsafe)
    if _fills_mask(indices, values, accumulate=accumulate):
        host: list[Tensor | None] = [i if i is None else to_host(i) for i in indices]
    else:
        values = _value_for(target, values, sorts=accumulate)
        host = _expanded(target, indices, sorts=accumulate)
    if values.is_cuda:
        values = to_host(values)
    _index_put(to_host(target), host, values, accumulate, unsafe)
    return target


def _value_for(target: Tensor, values: Tensor, *, sorts: bool) -> Tensor:
    """One number crosses; everything else has to be there (``_index_put_impl_``).

    Raises:
        RuntimeError: in the words of the sorting kernel, or of ``TensorIterator``.
    """
    if values.device == target.device:
        return values
    if values.dim() == 0:
        return values.to(target.device)
    if sorts and target.is_cuda:
        message = f"expected device {target.device} but got device {values.device} for value tensor"
        raise RuntimeError(message)
    devices = (target.device, values.device)
    first, second = devices if target.is_cuda else devices[::-1]
    message = (
        "Expected all tensors to be on the same device, but found at least two devices, "
        f"{first} and {second}!"
    )
    raise RuntimeError(message)


def _put_on_host(
    target: Tensor,
    indices: Sequence[Tensor | None],
    values: Tensor,
    accumulate: bool,
    unsafe: bool,
) -> Tensor:
    """A tensor on the host takes indices and one number from a device: they are downloaded."""
    values = _value_for(target, values, sorts=False)
    host = [i if i is None or i.is_cpu else i.to(target.device) for i in indices]
    _index_put(target, host, values, accumulate, unsafe)
    return target


def make_indexing() -> dict[str, Callable[..., Any]]:
    """Kernels by operator name."""
    return {
        "index.Tensor": _index_kernel,
        "_unsafe_index.Tensor": _index_kernel,
        "_index_put_impl_": _index_put_kernel,
    }
