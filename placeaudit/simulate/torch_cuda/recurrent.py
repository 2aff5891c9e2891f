"""``nn.LSTM``, ``nn.GRU`` and ``nn.RNN``: whole layers at once, as cuDNN runs them.

PyTorch composes these of cells where there is no cuDNN.  Here the CPU's own implementation (fused
by oneDNN where it can be) runs on host aliases, layers, directions and dropout included: the
numbers are those of a plain CPU run, and one node of the graph stands for all, as with cuDNN.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import torch

from placeaudit.simulate.torch_cuda.retag import to_host, to_plain_device, to_plain_host

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["make_recurrent"]

Tensor = torch.Tensor

_NAMES: Final = ("lstm", "gru", "rnn_tanh", "rnn_relu")


class _Layers(torch.autograd.Function):
    """The CPU's operator with a graph of its own inside."""

    @staticmethod
    def forward(ctx: Any, run: Callable[..., tuple[Tensor, ...]], *tensors: Tensor) -> Any:
        index = tensors[0].get_device()
        inner = [
            to_host(tensor).requires_grad_(needed)
            for tensor, needed in zip(tensors, ctx.needs_input_grad[1:], strict=True)
        ]
        with torch.enable_grad():
            ctx.results = run(inner)
        ctx.inner = inner
        # Never read; saved so that PyTorch notices what was written to since.
        ctx.save_for_backward(*tensors)
        return tuple(to_plain_device(item.detach(), index) for item in ctx.results)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        index = ctx.saved_tensors[0].get_device()
        keeps_graph = torch._C._autograd._get_current_graph_task_keep_graph()
        wanted = [tensor for tensor in ctx.inner if tensor.requires_grad]
        found = iter(
            torch.autograd.grad(
                ctx.results,
                wanted,
                [to_host(gradient) for gradient in gradients],
                retain_graph=keeps_graph,
                allow_unused=True,
            )
        )
        results: list[Tensor | None] = [None]
        for tensor in ctx.inner:
            gradient = next(found) if tensor.requires_grad else None
            results.append(None if gradient is None else to_plain_device(gradient, index))
        if not keeps_graph:
            del ctx.inner, ctx.results
        return tuple(results)


def _cast(tensors: list[Tensor]) -> list[Tensor]:
    """What autocast does above ``_cudnn_rnn``."""
    if not torch.is_autocast_enabled("cuda"):
        return tensors
    dtype = torch.get_autocast_dtype("cuda")
    return [tensor.to(dtype) if tensor.is_floating_point() else tensor for tensor in tensors]


def _recurrent_kernel(operator: Any, *, is_packed: bool) -> Callable[..., Any]:
    """The kernel of one overload, above autograd.

    Its arguments: the input, the batch sizes on the host where it is packed, the hidden state (two
    of them for an LSTM), the parameters and the layers' geometry.
    """
    composite, call = torch._C.DispatchKey.CompositeImplicitAutograd, operator._op
    sizes = 1 if is_packed else 0

    def kernel(data: Tensor, *rest: Any) -> Any:
        batch_sizes, (hidden, params, *geometry) = rest[:sizes], rest[sizes:]
        states: Sequence[Tensor] = [hidden] if isinstance(hidden, Tensor) else hidden
        tensors = [data, *states, *params]
        device = data.device
        if any(tensor.device != device for tensor in tensors):
            return operator._op_dk(composite, data, *rest)  # it says so
        tensors, last = _cast(tensors), 1 + len(states)

        def run(host: list[Tensor]) -> Any:
            state = host[1] if isinstance(hidden, Tensor) else host[1:last]
            return call(host[0], *batch_sizes, state, host[last:], *geometry)

        if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
            return _Layers.apply(run, *tensors)  # type: ignore[no-untyped-call]
        index = data.get_device()
        return tuple(
            to_plain_device(item, index) for item in run([to_plain_host(x) for x in tensors])
        )

    return kernel


def make_recurrent() -> dict[str, Callable[..., Any]]:
    """Kernels above autograd, by operator name."""
    aten = torch.ops.aten
    return {
        f"{name}.{overload}": _recurrent_kernel(
            getattr(getattr(aten, name), overload), is_packed=overload == "data"
        )
        for name in _NAMES
        for overload in ("input", "data")
    }
