"""Which devices an operator's tensors may be on, in PyTorch's own words.

PyTorch checks in two places, with two texts: generated wrappers name the argument and the method,
``TensorIterator`` names two devices and lets 0-dimensional host tensors through.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NoReturn

import torch

from placeaudit.simulate.torch_cuda.errors import invalid_device

if TYPE_CHECKING:
    from collections.abc import Callable

    from placeaudit.simulate.torch_cuda.catalogue import Declaration

__all__ = ["Operand", "check_index", "current_index", "index_of", "limits", "make_mismatch"]

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
        raise invalid_device()


def _raise(text: str) -> NoReturn:
    raise RuntimeError(text)


@dataclass(frozen=True, slots=True)
class Operand:
    """A tensor argument of an operator."""

    name: str
    tensor: torch.Tensor
    #: Written to: ``out=``, or the tensor of an in-place operator.
    is_output: bool = False


def _checked(method: str) -> Callable[[list[Operand]], None]:
    """``c10::impl::check_and_update_common_device`` as the generated wrappers call it."""

    def check(operands: list[Operand]) -> None:
        common = operands[0].tensor.device
        for operand in operands:
            if operand.tensor.device != common:
                _raise(
                    f"Expected all tensors to be on the same device, but got {operand.name} is on "
                    f"{operand.tensor.device}, different from other tensors on {common} "
                    f"(when checking argument in method {method})"
                )

    return check


def _iterated(operands: list[Operand]) -> None:
    """``TensorIteratorBase::compute_types``: one host scalar may join, to be read from only."""
    devices = [operand.tensor.device for operand in operands]
    common = next(device for device in devices if device.type != "cpu")
    has_host_scalar = False
    for operand, device in zip(operands, devices, strict=True):
        if device.type == "cpu" and operand.tensor.dim() == 0 and not operand.is_output:
            if has_host_scalar:
                _raise("Trying to pass too many CPU scalars to non-CPU kernel!")
            has_host_scalar = True
        elif device != common:
            _raise(
                "Expected all tensors to be on the same device, but found at least two devices, "
                f"{common} and {device}!"
            )


def _allowed(operands: list[Operand]) -> None:
    del operands


#: Operators that PyTorch itself lets mix, or whose kernels here look at devices themselves.
_FREE_PREFIXES = ("_foreach_", "_fused_", "_amp_", "index", "_index_put", "_unsafe_index")


def make_mismatch(declaration: Declaration) -> Callable[[list[Operand]], None]:
    """The check of one operator, for when its tensors are not all on one device.

    It is called with every tensor argument, returns where PyTorch allows the mix and raises
    PyTorch's error where not.
    """
    base, _, overload = declaration.name.partition(".")
    if declaration.is_device_checked:
        # torchgen's names: structured kernels end with the overload, the others begin with it
        # (NativeSignature and wrapper_kernel_sig in torchgen/dest/register_dispatch_key.py).
        function = f"{base}_out" if declaration.is_out else base
        if declaration.is_structured:
            return _checked(f"wrapper_CUDA_{function}" + (f"_{overload}" if overload else ""))
        return _checked(f"wrapper_CUDA_{overload}_{function}")
    if base.startswith(_FREE_PREFIXES):
        return _allowed
    return _iterated
