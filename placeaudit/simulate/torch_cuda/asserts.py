"""Values that make a kernel's own assertion fail: an index out of range, a probability above one.

The CPU checks them and raises what it likes.  On a device the kernel asserts, and CUDA tells the
host at the next call that waits: ``device-side assert triggered``.  Here it is told at once, as
with ``CUDA_LAUNCH_BLOCKING=1``; what the CPU said is the cause.  (A real process can use the device
no more after that; a simulated one can.)
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from placeaudit.simulate.torch_cuda.errors import device_assert

if TYPE_CHECKING:
    from collections.abc import Callable

    Kernel = Callable[..., Any]

__all__ = ["asserting"]

#: Operators whose CUDA kernels assert on values they meet (CUDA_KERNEL_ASSERT), all overloads.
_OPERATORS: Final = frozenset(
    {
        "_embedding_bag", "_embedding_bag_forward_only", "_index_put_impl_", "_unsafe_index",
        "binary_cross_entropy", "embedding_dense_backward", "embedding_renorm_", "gather", "index",
        "index_add", "index_add_", "index_copy", "index_copy_", "index_fill_", "index_reduce",
        "index_reduce_", "index_select", "multi_margin_loss", "nll_loss2d_forward",
        "nll_loss_forward", "put_", "scatter", "scatter_", "scatter_add", "scatter_add_",
        "scatter_reduce", "scatter_reduce_", "take",
    }
)  # fmt: skip

#: How the CPU says it.
_OUT_OF_RANGE: Final = re.compile(
    r"out of (range|bounds)|between 0 and 1|Expected idx >= 0|target out of range", re.IGNORECASE
)


def asserting(name: str, kernel: Kernel) -> Kernel:
    """``kernel`` with the CPU's complaint about a value told in CUDA's words.

    ``name`` may have an overload.  Other operators keep their kernel as it is.
    """
    if name.partition(".")[0] not in _OPERATORS:
        return kernel

    def checked(*args: Any, **kwargs: Any) -> Any:
        try:
            return kernel(*args, **kwargs)
        except (IndexError, RuntimeError) as error:
            if _OUT_OF_RANGE.search(str(error)) is None:
                raise
            raise device_assert() from error

    return checked
