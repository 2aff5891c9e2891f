"""``torch._foreach_*``: what optimizers and gradient clipping are written on.

The CPU has one implementation of them, shared by every device: a loop over the tensors.  Run on the
device tensors it would enter a Python kernel for each of them, so it runs on host aliases where
every tensor is on one device, and on the tensors themselves where PyTorch would complain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from placeaudit.simulate.torch_cuda.builds import composite_kernel
from placeaudit.simulate.torch_cuda.retag import to_plain_device, to_plain_host

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["foreach_kernel"]

Tensor = torch.Tensor
_increment_version = torch._C._increment_version


def _takes_lone_tensor(operator: Any) -> bool:
    """Whether a tensor that is no list is an operand like the others, and not read by the host."""
    lone = [a.name for a in operator._schema.arguments if str(a.type) == "Tensor"]
    return set(lone) <= {"other"}


def foreach_kernel(operator: Any) -> Callable[..., Any]:
    """The kernel of one overload."""
    composite = composite_kernel(operator)
    call = operator._op
    takes_lone_tensor = _takes_lone_tensor(operator)
    is_in_place = operator._schema.name.endswith("_")

    def alias_all(values: tuple[Any, ...], index: int) -> list[Any] | None:
        """Host aliases of device tensors; None where one is elsewhere."""
        host: list[Any] = []
        for value in values:
            if isinstance(value, Tensor):
                if not takes_lone_tensor:
                    return None
                tensors: Any = (value,)
            elif isinstance(value, (list, tuple)) and value and isinstance(value[0], Tensor):
                tensors = value
            else:
                host.append(value)
                continue
            aliases = []
            for tensor in tensors:
                if tensor.get_device() != index:
                    return None
                aliases.append(to_plain_host(tensor))
            host.append(aliases[0] if tensors is not value else aliases)
        return host

    def kernel(*args: Any, **kwargs: Any) -> Any:
        # A number comes first in pow.ScalarAndTensor.
        first = args[0] if isinstance(args[0], (list, tuple)) else args[1]
        index = first[0].get_device() if first else -1
        host = alias_all(args, index) if index >= 0 else None
        if host is None or any(isinstance(value, Tensor) for value in kwargs.values()):
            return composite(*args, **kwargs)
        result = call(*host, **kwargs)
        if is_in_place:
            # As the device's kernels do; an alias has a counter of its own.
            _increment_version([item for item in first if not item.is_inference()])
        if not result:
            return result
        return [to_plain_device(item, index) for item in result]

    return kernel
