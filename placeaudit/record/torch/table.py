"""Which copies make the host wait, and how much crosses: the table at the end of the catalogue."""

from __future__ import annotations

import torch

from placeaudit.record.content import is_dense

__all__ = ["crosses_as_is", "crossing_itemsize", "host_waits"]


def host_waits(
    *, to_host: bool, to_device: bool, pinned: bool, non_blocking: bool, host_contiguous: bool
) -> bool:
    """Whether the host waits for a copy: the table at the end of the rule catalogue.

    ``host_contiguous`` is False where the host side is strided or broadcast: the copy then goes
    through a temporary, which is pageable.  A conversion alone does not change the answer: with
    ``non_blocking`` it is done on the device, from or into the pinned memory itself.
    """
    if to_host == to_device:
        return False  # between devices, or within the host
    return not (non_blocking and pinned and host_contiguous)


def crossing_itemsize(*, to_device: bool, non_blocking: bool, source: int, target: int) -> int:
    """Bytes per element that cross where a copy converts and its inner copy was not seen.

    A blocking copy converts on the host, a non-blocking one on the device.
    """
    return source if to_device == non_blocking else target


def crosses_as_is(host: torch.Tensor, dst: torch.Tensor, src: torch.Tensor) -> bool:
    """Whether the host side's own memory takes part, rather than a temporary."""
    if src.shape != dst.shape:
        return False
    if host.is_contiguous():
        return True
    return src.dtype is dst.dtype and src.stride() == dst.stride() and is_dense(host)
