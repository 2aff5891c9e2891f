"""Nested tensors (of the strided layout) on the simulated device.

``nn.TransformerEncoder`` makes them in evaluation whenever it is given a padding mask.  Most of
their operators are one implementation for every device, written on the dense buffer below: it runs
on the device tensor itself, and the dense operators come here one by one.  The few with a CUDA
implementation of their own run the CPU's on host aliases.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import torch

from placeaudit.simulate.torch_cuda.kernels import shared_kernel
from placeaudit.simulate.torch_cuda.retag import to_device, to_host

if TYPE_CHECKING:
    from collections.abc import Callable

    from placeaudit.simulate.torch_cuda.catalogue import Declaration

    Kernel = Callable[..., Any]

__all__ = ["make_nested", "nested_kernel"]

Tensor = torch.Tensor
_KEY: Final = "NestedTensorCPU"
_CPU: Final = torch.device("cpu")
#: What describes a nested tensor beside its buffer; host tensors on every device.
_METADATA: Final = (
    "_nested_tensor_size",
    "_nested_tensor_strides",
    "_nested_tensor_storage_offsets",
)

#: One implementation, but on loops of the device's own instead of dense operators.
_OWN_LOOPS: Final = frozenset({"native_layer_norm"})


class _Aliases:
    """Nested tensors and dense ones from one side to the other, their memory shared."""

    def __init__(self) -> None:
        aten = torch.ops.aten
        self._values = shared_kernel(aten.values.default, _KEY)
        self._metadata = [shared_kernel(getattr(aten, name).default, _KEY) for name in _METADATA]
        self._rebuild = aten._nested_view_from_buffer.default._op

    def _with_buffer(self, tensor: Tensor, alias: Callable[[Tensor], Tensor]) -> Any:
        # The buffer of a view is all that its storage holds, so the offsets stay right.
        buffer = alias(self._values(tensor))
        return self._rebuild(buffer, *(read(tensor) for read in self._metadata))

    def host(self, value: Any) -> Any:
        """Arguments as the host sees them."""
        if isinstance(value, Tensor):
            if not value.is_cuda:
                return value
            return self._with_buffer(value, to_host) if value.is_nested else to_host(value)
        if isinstance(value, (list, tuple)):
            return [self.host(item) for item in value]
        if isinstance(value, torch.device) and value.type == "cuda":
            return _CPU
        return value

    def device(self, value: Any, index: int) -> Any:
        """Results on the device."""
        if isinstance(value, Tensor):
            if value.is_nested:
                return self._with_buffer(value, lambda buffer: to_device(buffer, index))
            return to_device(value, index)
        if isinstance(value, (list, tuple)):
            return type(value)(self.device(item, index) for item in value)
        return value


def _host_kernel(operator: Any) -> Kernel:
    """The CPU's implementation, on host aliases."""
    aliases, call = _Aliases(), operator._op

    def kernel(*args: Any, **kwargs: Any) -> Any:
        tensors = (item for item in (*args, *kwargs.values()) if isinstance(item, Tensor))
        index = next(tensor.get_device() for tensor in tensors if tensor.is_cuda)
        host_kwargs = {name: aliases.host(value) for name, value in kwargs.items()}
        return aliases.device(call(*map(aliases.host, args), **host_kwargs), index)

    return kernel


def nested_kernel(operator: Any, declaration: Declaration) -> Kernel:
    """The kernel of an operator on nested tensors that CPU implements too."""
    is_shared = declaration.is_nested_shared and declaration.name not in _OWN_LOOPS
    return shared_kernel(operator, _KEY) if is_shared else _host_kernel(operator)


def make_nested() -> dict[str, Callable[[Any], Kernel]]:
    """Operators on dense tensors whose results are nested, by name: what makes their kernel."""
    return dict.fromkeys(
        (
            "_nested_tensor_from_mask",
            "_nested_from_padded",
            "_nested_from_padded_and_nested_example",
        ),
        _host_kernel,
    )
