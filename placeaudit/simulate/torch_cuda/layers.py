"""Layers whose CUDA route leaves the one that CPU takes: convolution, attention, recurrent cells.

Each is routed to the CPU operator that computes the same thing, so that a simulated run and a plain
CPU run stay comparable number by number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import torch

from placeaudit.simulate.torch_cuda.dtypes import require_convolution
from placeaudit.simulate.torch_cuda.outputs import assign
from placeaudit.simulate.torch_cuda.retag import (
    to_device,
    to_host,
    to_plain_device,
    to_plain_host,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["make_composites", "make_layers"]

Tensor = torch.Tensor
_aten = torch.ops.aten
_convolution: Final = _aten.convolution.default._op
_convolution_backward: Final = _aten.convolution_backward.default._op
_choice: Final = _aten._fused_sdp_choice.default._op
_attention: Final = _aten._scaled_dot_product_flash_attention_for_cpu.default._op
_attention_backward: Final = _aten._scaled_dot_product_flash_attention_for_cpu_backward.default._op
_fused: Final = _aten._scaled_dot_product_efficient_attention.default._op
_unfused: Final = _aten._scaled_dot_product_attention_math.default._op

#: ``at::sdp::SDPBackend`` (aten/src/ATen/native/transformers/sdp_utils_cpp.h).
_SDP_MATH: Final = 0
_SDP_EFFICIENT: Final = 2


def _maybe_host(tensor: Tensor | None) -> Tensor | None:
    return to_host(tensor) if tensor is not None and tensor.is_cuda else tensor


# --- convolution ------------------------------------------------------------------------------


def _type_name(tensor: Tensor) -> str:
    return str(tensor.type())


def _require_same_type(input: Tensor, weight: Tensor, bias: Tensor | None) -> None:  # noqa: A002
    """``check_input_same_type_as_parameters`` in Convolution.cpp, word for word."""
    if input.device != weight.device or input.dtype != weight.dtype:
        message = (
            f"Input type ({_type_name(input)}) and weight type ({_type_name(weight)}) "
            "should be the same"
        )
        raise RuntimeError(message)
    if bias is not None and (input.device != bias.device or input.dtype != bias.dtype):
        message = (
            f"Input type ({_type_name(input)}) and bias type ({_type_name(bias)}) "
            "should be the same"
        )
        raise RuntimeError(message)


def _convolution_kernel(
    input: Tensor,  # noqa: A002
    weight: Tensor,
    bias: Tensor | None,
    *geometry: Any,
) -> Tensor:
    _require_same_type(input, weight, bias)
    if not (input.is_floating_point() or input.is_complex()):
        require_convolution(input, weight, geometry)
    result = _convolution(to_host(input), to_host(weight), _maybe_host(bias), *geometry)
    return to_device(result, input.get_device())


def _convolution_backward_kernel(
    gradient: Tensor,
    input: Tensor,  # noqa: A002
    weight: Tensor,
    *geometry: Any,
) -> tuple[Tensor | None, ...]:
    results = _convolution_backward(to_host(gradient), to_host(input), to_host(weight), *geometry)
    index = input.get_device()
    return tuple(None if item is None else to_device(item, index) for item in results)


# --- attention --------------------------------------------------------------------------------


def _has_fused(dtype: torch.dtype, mask: Tensor | None) -> bool:
    """Whether a device has one of the fused kernels that are switched on (sdp_utils.cpp)."""
    backends = torch.backends.cuda
    is_short = dtype in {torch.float16, torch.bfloat16}
    return (
        (backends.mem_efficient_sdp_enabled() and (is_short or dtype == torch.float32))
        or (backends.flash_sdp_enabled() and is_short and mask is None)
        or (backends.cudnn_sdp_enabled() and is_short)
    )


def _attention_choice(  # the operator's own signature
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> int:
    """The fused kernel where CPU would take its own; its CUDA entry point is the efficient one."""
    try:
        with torch._C._AutoDispatchBelowAutograd():
            choice = _choice(
                *(_maybe_host(item) for item in (query, key, value, attn_mask)),
                dropout_p,
                is_causal,
                scale=scale,
                enable_gqa=enable_gqa,
            )
    except RuntimeError:  # the host lacks the kernels that are switched on
        choice = _SDP_EFFICIENT
    if not torch.backends.cuda.math_sdp_enabled() and not _has_fused(query.dtype, attn_mask):
        raise RuntimeError("No available kernel. Aborting execution.")
    needs_mask_gradient = attn_mask is not None and attn_mask.requires_grad
    return _SDP_MATH if choice == _SDP_MATH or needs_mask_gradient else _SDP_EFFICIENT


def _attend(  # the operator's own signature
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """``scaled_dot_product_attention``, above autograd.

    PyTorch asks a C++ table for the device's choice of kernel, which a CPU build has no entry in,
    and would always take the unfused one.
    """
    options: dict[str, Any] = {"scale": scale, "enable_gqa": enable_gqa}
    tensors = [item for item in (query, key, value, attn_mask) if item is not None]
    is_fused = all(item.device == query.device for item in tensors) and (
        _attention_choice(query, key, value, attn_mask, dropout_p, is_causal, **options)
        != _SDP_MATH
    )
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        # ``convert_boolean_attn_mask``: either kernel adds what it is given.
        allowed = torch.zeros((), dtype=query.dtype, device=attn_mask.device)
        attn_mask = torch.where(attn_mask, allowed, float("-inf"))
    if not is_fused:
        result: Tensor = _unfused(query, key, value, attn_mask, dropout_p, is_causal, **options)[0]
        return result
    attended: tuple[Tensor, ...] = _fused(
        query, key, value, attn_mask, False, dropout_p, is_causal, scale=scale
    )
    return attended[0]


def _attention_kernel(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    compute_log_sumexp: bool,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
) -> tuple[Tensor, ...]:
    del compute_log_sumexp
    output, log_sumexp = _attention(
        to_host(query),
        to_host(key),
        to_host(value),
        dropout_p,
        is_causal,
        attn_mask=_maybe_host(mask),
        scale=scale,
    )
    index = query.get_device()
    seed, offset = (torch.zeros((), dtype=torch.int64, device="cpu") for _ in range(2))
    return tuple(to_device(item, index) for item in (output, log_sumexp, seed, offset))


def _attention_backward_kernel(
    gradient: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    output: Tensor,
    log_sumexp: Tensor,
    seed: Tensor,
    offset: Tensor,
    dropout_p: float,
    grad_input_mask: Sequence[bool],
    is_causal: bool = False,
    *,
    scale: float | None = None,
) -> tuple[Tensor | None, ...]:
    del seed, offset, grad_input_mask
    host = [to_host(item) for item in (gradient, query, key, value, output, log_sumexp)]
    results = _attention_backward(
        *host, dropout_p, is_causal, attn_mask=_maybe_host(mask), scale=scale
    )
    index = query.get_device()
    return (*(to_device(item, index) for item in results), None)


# --- recurrent cells --------------------------------------------------------------------------


_sigmoid_backward: Final = _aten.sigmoid_backward.default._op
_tanh_backward: Final = _aten.tanh_backward.default._op


def _sum_into(total: Tensor, *others: Tensor | None) -> Tensor:
    """Add what is given to ``total``, which is ours alone."""
    for other in others:
        if other is not None:
            total.add_(to_plain_host(other))
    return total


def _lstm_kernel(
    input_gates: Tensor,
    hidden_gates: Tensor,
    cx: Tensor,
    input_bias: Tensor | None = None,
    hidden_bias: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """``_thnn_fused_lstm_cell``: new hidden and cell state, and the activations for backward."""
    gates = to_plain_host(input_gates) + to_plain_host(hidden_gates)
    _sum_into(gates, input_bias, hidden_bias)
    i, f, g, o = gates.chunk(4, 1)  # from here on the workspace
    i.sigmoid_(), f.sigmoid_(), g.tanh_(), o.sigmoid_()
    cy = (f * to_plain_host(cx)).add_(i * g)
    hy = cy.tanh().mul_(o)
    index = cx.get_device()
    return to_plain_device(hy, index), to_plain_device(cy, index), to_plain_device(gates, index)


def _lstm_backward_kernel(
    grad_hy: Tensor | None,
    grad_cy: Tensor | None,
    cx: Tensor,
    cy: Tensor,
    workspace: Tensor,
    has_bias: bool,
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    if grad_hy is None and grad_cy is None:
        return None, None, None
    gates = to_plain_host(workspace)
    i, f, g, o = gates.chunk(4, 1)
    tanh_cy = to_plain_host(cy).tanh()
    d_hy = torch.zeros_like(tanh_cy) if grad_hy is None else to_plain_host(grad_hy)
    d_cy = _sum_into(_tanh_backward(d_hy * o, tanh_cy), grad_cy)
    d_both = torch.cat((d_cy * g, d_cy * to_plain_host(cx)), 1)
    d_gates = torch.cat(
        (
            _sigmoid_backward(d_both, gates[:, : d_both.size(1)]),
            _tanh_backward(d_cy * i, g),
            _sigmoid_backward(d_hy * tanh_cy, o),
        ),
        1,
    )
    index = cx.get_device()
    bias = to_plain_device(d_gates.sum(0), index) if has_bias else None
    return to_plain_device(d_gates, index), to_plain_device(d_cy.mul_(f), index), bias


def _gru_kernel(
    input_gates: Tensor,
    hidden_gates: Tensor,
    hx: Tensor,
    input_bias: Tensor | None = None,
    hidden_bias: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """``_thnn_fused_gru_cell``: new hidden state, and what backward needs."""
    index, width = hx.get_device(), 2 * hx.size(1)
    hidden = to_plain_host(hx)
    from_input = _gates_of(input_gates, input_bias)
    from_hidden = _gates_of(hidden_gates, hidden_bias)
    both = (from_input[:, :width] + from_hidden[:, :width]).sigmoid_()
    reset, update = both.chunk(2, 1)
    candidate = from_hidden[:, width:]
    new = (reset * candidate).add_(from_input[:, width:]).tanh_()
    hy = (hidden - new).mul_(update).add_(new)
    workspace = torch.cat((both, new, hidden, candidate), 1)
    return to_plain_device(hy, index), to_plain_device(workspace, index)


def _gates_of(gates: Tensor, bias: Tensor | None) -> Tensor:
    host = to_plain_host(gates)
    return host if bias is None else host + to_plain_host(bias)


def _gru_backward_kernel(
    grad_hy: Tensor,
    workspace: Tensor,
    has_bias: bool,
) -> tuple[Tensor | None, ...]:
    kept = to_plain_host(workspace)
    reset, update, new, hidden, candidate = kept.chunk(5, 1)
    grad = to_plain_host(grad_hy)
    d_new = _tanh_backward(grad * (1 - update), new)
    d_both = torch.cat((d_new * candidate, (hidden - new).mul_(grad)), 1)
    d_both = _sigmoid_backward(d_both, kept[:, : d_both.size(1)])
    d_input = torch.cat((d_both, d_new), 1)
    d_hidden = torch.cat((d_both, d_new * reset), 1)
    results: list[Tensor | None] = [d_input, d_hidden, grad * update]
    results += [d_input.sum(0), d_hidden.sum(0)] if has_bias else [None, None]
    index = grad_hy.get_device()
    return tuple(None if item is None else to_plain_device(item, index) for item in results)


# --- products in another dtype ----------------------------------------------------------------


def _product_in(call: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """``mm.dtype`` and the like, which only devices have: the product kept in a wider dtype."""

    def kernel(*operands: Any, out: Tensor | None = None, **factors: Any) -> Tensor:
        *tensors, dtype = operands
        host = [to_host(tensor).to(dtype) for tensor in tensors]
        result = call(*host, **factors)
        if out is not None:
            return assign(out, result)
        return to_device(result, tensors[0].get_device())

    return kernel


def _products() -> dict[str, Callable[..., Any]]:
    calls: dict[str, Callable[..., Tensor]]
    calls = {"mm": torch.mm, "bmm": torch.bmm, "addmm": torch.addmm, "baddbmm": torch.baddbmm}
    return {
        f"{name}.{overload}": _product_in(call)
        for name, call in calls.items()
        for overload in ("dtype", "dtype_out")
    }


def _never(*args: object, **kwargs: object) -> bool:
    """A library that is not there."""
    del args, kwargs
    return False


def make_layers() -> dict[str, Callable[..., Any]]:
    """Kernels by operator name."""
    return {
        **_products(),
        "convolution": _convolution_kernel,
        "convolution_backward": _convolution_backward_kernel,
        "_fused_sdp_choice": _attention_choice,
        "_scaled_dot_product_efficient_attention": _attention_kernel,
        "_scaled_dot_product_efficient_attention_backward": _attention_backward_kernel,
        "_thnn_fused_lstm_cell": _lstm_kernel,
        "_thnn_fused_lstm_cell_backward_impl": _lstm_backward_kernel,
        "_thnn_fused_gru_cell": _gru_kernel,
        "_thnn_fused_gru_cell_backward": _gru_backward_kernel,
        "_use_cudnn_ctc_loss": _never,
        "_use_cudnn_ctc_loss.Tensor": _never,
        "_use_miopen_ctc_loss": _never,
        "_use_miopen_ctc_loss.Tensor": _never,
    }


def make_composites() -> dict[str, Callable[..., Any]]:
    """Kernels above autograd, by operator name: operators that PyTorch composes of others."""
    return {"scaled_dot_product_attention": _attend}
