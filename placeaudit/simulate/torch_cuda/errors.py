"""Errors in CUDA's words, and the one that says what cannot be simulated."""

from __future__ import annotations

from typing import Final, NoReturn

import torch

from placeaudit.simulate.torch_cuda.cuda_build import cuda_build

__all__ = ["Unsimulated", "device_assert", "error_name", "invalid_device", "refuse"]

_INVALID_DEVICE: Final = 101
_DEVICE_ASSERT: Final = 710

#: ``cudaGetErrorString`` of the codes a program may meet (``cudaError_t``).
_NAMES: Final = {
    0: "no error",
    1: "invalid argument",
    2: "out of memory",
    3: "initialization error",
    35: "CUDA driver version is insufficient for CUDA runtime version",
    46: "CUDA-capable device(s) is/are busy or unavailable",
    100: "no CUDA-capable device is detected",
    _INVALID_DEVICE: "invalid device ordinal",
    217: "peer access is not supported between these two devices",
    700: "an illegal memory access was encountered",
    _DEVICE_ASSERT: "device-side assert triggered",
}


class Unsimulated(NotImplementedError):  # noqa: N818  # a state, as its base's name
    """Raised where a program asks the simulated device for what only a real one can do."""


def refuse(what: str, advice: str) -> NoReturn:
    """Refuse what cannot be simulated.

    Raises:
        Unsimulated: always.
    """
    raise Unsimulated(f"{what} cannot be simulated: {advice}")


def error_name(code: int) -> str:
    """``cudaGetErrorString``."""
    return _NAMES.get(int(code), "unrecognized error code")


def _accelerator_error(code: int, help_text: str, suffix: str) -> torch.AcceleratorError:
    """``c10_cuda_check_implementation``: the error, what helps, and how to find out more."""
    error = torch.AcceleratorError(f"CUDA error: {error_name(code)}\n{help_text}{suffix}")
    error.error_code = code  # type: ignore[attr-defined]
    return error


def invalid_device() -> torch.AcceleratorError:
    """What CUDA says of a device that is not there."""
    return _accelerator_error(
        _INVALID_DEVICE,
        "GPU device may be out of range, do you have enough GPUs?",
        cuda_build().error_suffix,
    )


def device_assert() -> torch.AcceleratorError:
    """What CUDA says where a kernel's assertion failed."""
    return _accelerator_error(
        _DEVICE_ASSERT,
        "Search for `cudaErrorAssert' in https://docs.nvidia.com/cuda/cuda-runtime-api/"
        "group__CUDART__TYPES.html for more information.",
        cuda_build().kernel_error_suffix,
    )
