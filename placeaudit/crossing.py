"""What crosses between host and device, and what makes the host wait: the one table of it.

The simulated device copies by it, recording and guards judge by it, the rules name operators by it,
and ``tests/gpu/`` holds a real device against it.  Plain data: importing this imports no framework.

The sources are PyTorch's own: ``aten/src/ATen/native/cuda/Copy.cu`` for copies,
``test_sync_warning`` in its ``test_torch.py`` for operators.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import torch

__all__ = [
    "COPIES",
    "READ",
    "WAITING",
    "Copy",
    "WaitingOperator",
    "converts_at_source",
    "crosses_as_is",
    "crosses_plain",
    "crossing_itemsize",
    "host_waits",
    "is_dense",
]

# --- copies -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Copy:
    """One row of the table of copies between host and device."""

    #: "h2d" or "d2h".
    direction: str
    #: Whether page-locked memory is the host's side.
    pinned: bool
    non_blocking: bool
    #: Whether the host's own memory takes part, rather than a pageable temporary.
    as_is: bool
    #: Whether the host waits for it.
    waits: bool


def host_waits(
    *, to_host: bool, to_device: bool, pinned: bool, non_blocking: bool, host_contiguous: bool
) -> bool:
    """Whether the host waits for a copy of at least one element.

    ``host_contiguous`` is False where the host side is strided or broadcast: the copy then goes
    through a temporary, which is pageable.  A conversion alone does not change the answer: with
    ``non_blocking`` it is done on the device, from or into the pinned memory itself.
    """
    if to_host == to_device:
        return False  # between devices, or within the host
    return not (non_blocking and pinned and host_contiguous)


#: :func:`host_waits`, written out.
COPIES: Final = tuple(
    Copy(
        direction,
        pinned,
        non_blocking,
        as_is,
        host_waits(
            to_host=direction == "d2h",
            to_device=direction == "h2d",
            pinned=pinned,
            non_blocking=non_blocking,
            host_contiguous=as_is,
        ),
    )
    for direction in ("h2d", "d2h")
    for pinned in (False, True)
    for non_blocking in (False, True)
    for as_is in (True, False)
)


def converts_at_source(*, to_device: bool, non_blocking: bool) -> bool:
    """Whether a copy that converts does so before it crosses, rather than after.

    A blocking copy converts on the host, a non-blocking one on the device.
    """
    return to_device != non_blocking


def crossing_itemsize(*, to_device: bool, non_blocking: bool, source: int, target: int) -> int:
    """Bytes per element that cross where a copy converts and its inner copy was not seen."""
    first = converts_at_source(to_device=to_device, non_blocking=non_blocking)
    return target if first else source


def crosses_as_is(host: torch.Tensor, dst: torch.Tensor, src: torch.Tensor) -> bool:
    """Whether the host side's own memory takes part, rather than a temporary."""
    if src.shape != dst.shape:
        return False
    if host.is_contiguous():
        return True
    return src.dtype is dst.dtype and is_dense(host) and _same_order(src, dst)


def crosses_plain(dst: torch.Tensor, src: torch.Tensor) -> bool:
    """Whether the bytes cross from one tensor's memory to the other's, without any temporary."""
    if src.dtype is not dst.dtype or src.shape != dst.shape:
        return False
    if dst.is_contiguous() and src.is_contiguous():
        return True
    return is_dense(src) and _same_order(src, dst)


def _same_order(left: torch.Tensor, right: torch.Tensor) -> bool:
    pairs = zip(left.stride(), right.stride(), left.shape, strict=True)
    return all(mine == theirs for mine, theirs, size in pairs if size != 1)


def is_dense(tensor: torch.Tensor) -> bool:
    """Whether the elements fill their memory without gap or overlap, in any order of dimensions."""
    expected = 1
    for stride, size in sorted(zip(tensor.stride(), tensor.shape, strict=True)):
        if size == 1:
            continue
        if stride != expected:
            return False
        expected *= size
    return True


# --- operators --------------------------------------------------------------------------------

_Arguments = tuple[Any, ...]
_Options = dict[str, Any]

#: The operator behind ``.item()``, ``float()`` and ``if tensor:``: a download of one element.
READ: Final = "_local_scalar_dense"


@dataclass(frozen=True, slots=True)
class WaitingOperator:
    """An operator whose result the host must see before it can go on."""

    #: What people call it.
    name: str
    #: Whether a call with these arguments waits.
    waits: Callable[[_Arguments, _Options], bool]
    #: Whether the host waits for the size of the result, rather than for its value.
    is_sized: bool = True


def _always(args: _Arguments, _options: _Options) -> bool:
    return bool(args[0].numel())


def _without_size(args: _Arguments, options: _Options) -> bool:
    given = options.get("output_size", args[1] if len(args) > 1 else None)
    return given is None and bool(args[0].numel())


def _same_shape(args: _Arguments, _options: _Options) -> bool:
    """``equal`` looks at the values only where the shapes agree and the tensors differ."""
    left, right = args[:2]
    return left is not right and left.shape == right.shape and bool(left.numel())


#: By the operator's own name.  What PyTorch composes of these waits through them: reading by a
#: mask and ``where`` of one argument are ``nonzero``, ``one_hot`` without classes is a scalar read.
WAITING: Final[dict[str, WaitingOperator]] = {
    "nonzero": WaitingOperator("nonzero", _always),
    "masked_select": WaitingOperator("masked_select", _always),
    "_unique2": WaitingOperator("unique", _always),
    "unique_dim": WaitingOperator("unique", _always),
    "unique_consecutive": WaitingOperator("unique_consecutive", _always),
    "repeat_interleave.Tensor": WaitingOperator("repeat_interleave", _without_size),
    "equal": WaitingOperator("equal", _same_shape, is_sized=False),
}
