"""Dtypes that one of the two has no kernel for: the CPU, which computes here, or a CUDA device.

Where a device lacks one, the program must fail as it does there, in the words of its dispatch
macros (``AT_DISPATCH_…(type, "addmm_cuda", …)``); the names are those of aten/src/ATen/native/cuda.
Where the CPU lacks one that devices have, the operator runs in the next wider dtype, as the kernels
of devices themselves do, and is refused by name where that is not known to be the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    Kernel = Callable[..., Any]

__all__ = ["refuse_as_device", "require_convolution", "run_wider"]

Tensor = torch.Tensor
_SCALAR_TYPES: Final = {
    torch.bool: "Bool",
    torch.uint8: "Byte",
    torch.int8: "Char",
    torch.int16: "Short",
    torch.int32: "Int",
    torch.int64: "Long",
    torch.float16: "Half",
    torch.bfloat16: "BFloat16",
}
_WHOLE: Final = frozenset(dtype for dtype in _SCALAR_TYPES if not dtype.is_floating_point)
_SHORT: Final = frozenset({torch.float16, torch.bfloat16})

#: The name in the device's dispatch macro, the place of the argument it looks at and the dtypes it
#: lacks, by operator without overload.
_LACKING: Final = {
    "mm": ("addmm_cuda", 0, _WHOLE),
    "addmm": ("addmm_cuda", 1, _WHOLE),
    "addmm_": ("addmm_cuda", 1, _WHOLE),
    "_addmm_activation": ("addmm_cuda", 1, _WHOLE),
    "bmm": ("baddbmm_cuda", 0, _WHOLE),
    "baddbmm": ("baddbmm_cuda", 1, _WHOLE),
    "baddbmm_": ("baddbmm_cuda", 1, _WHOLE),
    "addbmm": ("addmm_cuda", 1, _WHOLE),
    "addbmm_": ("addmm_cuda", 1, _WHOLE),
    "addmv": ("addmv_impl_cuda", 1, _WHOLE),
    "addmv_": ("addmv_impl_cuda", 1, _WHOLE),
    "dot": ("dot", 0, _WHOLE),
    "vdot": ("dot", 0, _WHOLE),
    "avg_pool2d": ("avg_pool2d_out_cuda_frame", 0, _WHOLE),
    "max_pool2d_with_indices": ("max_pool2d_with_indices_out_cuda_frame", 0, _WHOLE),
    "max_pool3d_with_indices": ("max_pool3d_with_indices_out_frame", 0, _WHOLE),
    "upsample_bicubic2d": ("upsample_bicubic2d_out_frame", 0, _WHOLE),
    "upsample_bilinear2d": ("upsample_bilinear2d_out_frame", 0, _WHOLE),
    "angle": ("angle_cuda", 0, _SHORT),
}


def refuse_as_device(name: str, kernel: Kernel) -> Kernel:
    """The kernel of an operator, which raises for the dtypes that a device has no kernel for.

    The CPU's kernel runs first: shapes are checked before dtypes, and there is nothing to refuse
    where there is nothing to compute.
    """
    lacking = _LACKING.get(name.partition(".")[0])
    if lacking is None:
        return kernel
    macro, place, dtypes = lacking

    def checked(*args: Any, **kwargs: Any) -> Any:
        looked_at = args[place]
        if looked_at.dtype not in dtypes or not looked_at.numel():
            return kernel(*args, **kwargs)
        text = f"\"{macro}\" not implemented for '{_SCALAR_TYPES[looked_at.dtype]}'"
        try:
            result = kernel(*args, **kwargs)
        except NotImplementedError:
            raise NotImplementedError(text) from None
        first = result[0] if isinstance(result, tuple) else result
        if first.numel():
            raise NotImplementedError(text)
        return result

    return checked


def require_convolution(input: Tensor, weight: Tensor, geometry: tuple[Any, ...]) -> None:  # noqa: A002
    """Refuse to convolve whole numbers, where it is known which of a device's kernels would.

    Raises:
        NotImplementedError: in the device's words.
    """
    dilation, is_transposed, groups = geometry[2], geometry[3], geometry[5]
    if input.dtype not in _WHOLE or input.dim() not in {3, 4} or not input.numel():
        return
    is_depthwise = not is_transposed and groups > 1 and input.size(1) == groups
    if is_depthwise or any(step != 1 for step in dilation) or not weight.numel():
        return
    macro = "slow_conv_transpose2d_out_cuda" if is_transposed else "slow_conv2d_cuda"
    raise NotImplementedError(f"\"{macro}\" not implemented for '{_SCALAR_TYPES[input.dtype]}'")


# --- what devices have and the CPU lacks ------------------------------------------------------


_WIDER: Final = {
    torch.float16: torch.float32,
    torch.bfloat16: torch.float32,
    torch.complex32: torch.complex64,
}
#: Operators, by name, that devices have in a narrow dtype (``dtypesIfCUDA`` of PyTorch's OpInfos)
#: and compute in the wider one.
_IN_WIDER: Final = frozenset(
    {
        "_upsample_bilinear2d_aa",
        "_upsample_bilinear2d_aa_backward",
        "acos",
        "acosh",
        "angle",
        "asin",
        "asinh",
        "atan",
        "atanh",
        "avg_pool3d",
        "avg_pool3d_backward",
        "cos",
        "cosh",
        "div",
        "exp",
        "lerp",
        "log",
        "logaddexp",
        "multi_margin_loss",
        "multi_margin_loss_backward",
        "multilabel_margin_loss_backward",
        "multilabel_margin_loss_forward",
        "pow",
        "prod",
        "rrelu_with_noise",
        "rrelu_with_noise_backward",
        "rsqrt",
        "sigmoid",
        "sin",
        "sinh",
        "sqrt",
        "sum",
        "tan",
        "tanh",
        "trace",
    }
)


def _map(tree: Any, change: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(tree, Tensor):
        return change(tree)
    if isinstance(tree, (list, tuple)):
        return type(tree)(_map(item, change) for item in tree)
    return tree


def run_wider(
    operator: Any,
    args: list[Any],
    kwargs: dict[str, Any],
    error: RuntimeError,
) -> Any:
    """Run in wider dtypes what the CPU could not run in its own; the results are narrow again.

    Args:
        operator: the overload.
        args: host tensors and everything else.
        kwargs: the same by keyword.
        error: what the CPU said.

    Raises:
        RuntimeError: ``error``, where no dtype was the reason, or another error that names the
            operator.
    """
    if "not implemented for" not in str(error) and "doesn't support tensors" not in str(error):
        raise error
    name = operator._schema.name
    narrow: dict[torch.dtype, torch.dtype] = {}

    def widen(tensor: Tensor) -> Tensor:
        wide = _WIDER.get(tensor.dtype)
        if wide is None:
            return tensor
        narrow[wide] = tensor.dtype
        return tensor.to(wide)

    wide_args = _map(args, widen)
    wide_kwargs = {key: _map(value, widen) for key, value in kwargs.items()}
    if name.partition("::")[2].rstrip("_") not in _IN_WIDER or not narrow:
        why = f"{name} ran on the CPU, which stands in for the simulated CUDA device."
        if not isinstance(error, NotImplementedError):
            raise NotImplementedError(f"{error} ({why})") from error
        error.add_note(why)
        raise error
    if torch.complex64 in narrow:
        narrow[torch.float32] = torch.float16
    result = operator._op(*wide_args, **wide_kwargs)
    written = {a.name for a in operator._schema.arguments if a.alias_info is not None}
    places = {a.name: place for place, a in enumerate(operator._schema.arguments)}
    for key in written:
        place = places[key]
        target = kwargs[key] if key in kwargs else args[place]
        target.copy_(wide_kwargs[key] if key in kwargs else wide_args[place])
    return _map(result, lambda tensor: tensor.to(narrow.get(tensor.dtype, tensor.dtype)))
