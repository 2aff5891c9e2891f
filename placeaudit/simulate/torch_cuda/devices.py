"""Which devices an operator's tensors may be on, in PyTorch's own words.

PyTorch checks in two places, with two texts: generated wrappers name the argument and the method,
``TensorIterator`` names two devices and lets 0-dimensional host tensors through.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NoReturn

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from placeaudit.simulate.torch_cuda.catalogue import Declaration

__all__ = ["check_index", "current_index", "index_of", "limits", "make_mismatch"]

current_index: Callable[[], int] = torch._C._accelerator_getDeviceIndex


@dataclass(slots=True)
class _Limits:
    """How many devices there are."""

    count: int = 8


limits: Final = _Limits()


def index_of(device: torch.device | None) -> int:
    """Index of a CUDA device; the current one where the device does not say.

    Raises:
        torch.AcceleratorError: there is no such device, in CUDA's words.
    """
    if device is None or device.index is None:
        return current_index()
    check_index(device.index)
    return device.index


def check_index(index: int) -> None:
    """Refuse a device that is not there.

    Raises:
        torch.AcceleratorError: in CUDA's words.
    """
    if index >= limits.count:
        message = (
            "CUDA error: invalid device ordinal\n"
            "GPU device may be out of range, do you have enough GPUs?\n"
        )
        raise torch.AcceleratorError(message)


def _raise(text: str) -> NoReturn:
    raise RuntimeError(text)


def _checked(method: str) -> Callable[[list[tuple[str, torch.Tensor]]], None]:
    """``c10::impl::check_and_update_common_device`` as the generated wrappers call it."""

    def check(tensors: list[tuple[str, torch.Tensor]]) -> None:
        common = tensors[0][1].device
        for name, tensor in tensors:
            if tensor.device != common:
                _raise(
                    f"Expected all tensors to be on the same device, but got {name} is on "
                    f"{tensor.device}, different from other tensors on {common} "
                    f"(when checking argument in method {method})"
                )

    return check


def _iterated(tensors: list[tuple[str, torch.Tensor]]) -> None:
    """``TensorIteratorBase::compute_types``: host scalars may join."""
    common = None
    for _, tensor in tensors:
        device = tensor.device
        if device.type == "cpu" and tensor.dim() == 0:
            continue
        if common is None:
            common = device
        elif device != common:
            _raise(
                "Expected all tensors to be on the same device, but found at least two devices, "
                f"{common} and {device}!"
            )


def _allowed(tensors: list[tuple[str, torch.Tensor]]) -> None:
    del tensors


#: Operators that PyTorch itself lets mix, or whose kernels here look at devices themselves.
_FREE_PREFIXES = ("_foreach_", "_fused_", "_amp_", "index", "_index_put", "_unsafe_index")


def make_mismatch(declaration: Declaration) -> Callable[[list[tuple[str, torch.Tensor]]], None]:
    """The check of one operator, for when its tensors are not all on one device.

    It is called with every tensor argument as (name, tensor), returns where PyTorch allows the mix
    and raises PyTorch's error where not.
    """
    base, _, overload = declaration.name.partition(".")
    if declaration.is_device_checked:
        # torchgen's names: structured kernels carry no overload, the others do.
        function = f"{base}_out" if overload.endswith("out") else base
        middle = "" if declaration.is_structured else f"{overload}_"
        return _checked(f"wrapper_CUDA_{middle}{function}")
    if base.startswith(_FREE_PREFIXES):
        return _allowed
    return _iterated
