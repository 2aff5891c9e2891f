"""What differs between versions and builds of torch, from 2.10 on.

A CPU build has nothing on the CUDA dispatch key and lacks the functions ``torch._C._cuda_*``.  A
CUDA build (what ``pip install torch`` brings on Linux) has its kernels there, which need a driver:
where there is none, each must be replaced, also those that the CPU build has no operator for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NoReturn

import torch

from placeaudit.errors import SimulationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from placeaudit.simulate.torch_cuda.patches import Patches

__all__ = [
    "check_version",
    "composite_kernel",
    "no_kernel",
    "real_kernels",
    "refusal",
    "runs_composite",
    "skip_timers",
]

#: ``_ensureCUDADeviceGuardSet`` does what is needed from here on.
_OLDEST: Final = (2, 10)

#: Collectives ask their process group for its backend; no kernel is behind the key.
_COLLECTIVES: Final = "c10d::"

#: Where a CUDA build has kernels that need a driver.
_KEYS: Final = ("CUDA", "NestedTensorCUDA", "QuantizedCUDA", "SparseCUDA", "SparseCsrCUDA")

_CPU_KEYS: Final = torch._C.DispatchKeySet(torch._C.DispatchKey.CPU)


def check_version() -> None:
    """Refuse a torch that is too old.

    Raises:
        SimulationError: it is.
    """
    version = tuple(int(part) for part in torch.__version__.split("+")[0].split(".")[:2])
    if version < _OLDEST:
        raise SimulationError(
            f"simulated CUDA needs torch 2.10 or newer, this is {torch.__version__}"
        )


def runs_composite(name: str) -> bool:
    """Whether the CPU runs ``name`` (with its namespace) by an implementation for every device.

    On the CUDA key a CPU build runs the same one; a CUDA build may have one of its own.
    """
    has = torch._C._dispatch_has_kernel_for_dispatch_key
    computes = torch._C._dispatch_has_computed_kernel_for_dispatch_key
    return computes(name, "CPU") and not has(name, "CPU")


def composite_kernel(operator: Any) -> Callable[..., Any]:
    """The implementation for every device, on the device tensors themselves."""
    call = torch.library.get_kernel(operator, "CPU").call_boxed

    def kernel(*args: object, **kwargs: object) -> object:
        return call(_CPU_KEYS, *args, **kwargs)

    return kernel


def real_kernels() -> dict[str, list[str]]:
    """Operators, with their namespaces, that this build has real device kernels of, by key.

    To be asked before any simulated kernel is registered.
    """
    return {
        key: [
            name
            for name in torch._C._dispatch_get_registrations_for_dispatch_key(key)
            if not name.startswith(_COLLECTIVES)
        ]
        for key in _KEYS
    }


def skip_timers(patches: Patches) -> None:
    """Keep ``DistributedDataParallel`` from timing with events of a device that is not there.

    A CUDA build's reducer times its first iterations so, unless it is never told of one; nothing
    else asks how many there were, but for a static graph.
    """
    if torch.version.cuda is None or not torch.distributed.is_available():
        return
    distributed: Any = torch.distributed
    reducer = distributed.Reducer

    def refuse(_reducer: Any) -> NoReturn:
        message = (
            "DistributedDataParallel(static_graph=True) on a simulated CUDA device needs a CPU "
            "build of torch: this CUDA build would time it with a real device's events"
        )
        raise NotImplementedError(message)

    patches.set(reducer, "prepare_for_forward", lambda _reducer: None)
    patches.set(reducer, "_set_static_graph", refuse)


def refusal(name: str) -> Callable[..., NoReturn]:
    """A kernel that says that there is none."""

    def kernel(*args: object, **kwargs: object) -> NoReturn:
        del args, kwargs
        raise NotImplementedError(no_kernel(name))

    return kernel


def no_kernel(name: str) -> str:
    """What the call of an operator with nothing to stand in for it says."""
    return (
        f"Could not run '{name}' on a simulated CUDA device: it has no CPU kernel to stand in for "
        "the CUDA one."
    )
