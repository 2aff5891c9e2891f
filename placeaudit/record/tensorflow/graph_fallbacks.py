"""Operations of a compiled graph that were asked onto a GPU and ran on the host.

What the program asked for stands in the graph as it was traced; where each operation went, in the
parts that TensorFlow cut from it.  Grappler moves small operations to the host for good reason, so
where the GPU is there only those count that have no kernel for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import tensorflow as tf
from tensorflow.python.framework import dtypes

from placeaudit.record.tensorflow.origins import places_of

if TYPE_CHECKING:
    from placeaudit.record.tensorflow.context import TensorflowContext, ThreadState
    from placeaudit.simulate.tensorflow_gpu.kernels import KernelTable

__all__ = ["Fallen", "absent", "add_fallen", "fallen_in", "is_lookup"]

#: Nothing is computed there.
_NO_WORK: Final = frozenset(
    {"Const", "HostConst", "Identity", "IdentityN", "NoOp", "Placeholder", "PlaceholderWithDefault",
     "_Arg", "_Retval", "_Send", "_Recv", "_HostSend", "_HostRecv", "ReadVariableOp", "VarHandleOp",
     "VariableV2", "StopGradient"}
)  # fmt: skip
_RESOURCES: Final = frozenset({dtypes.resource, dtypes.variant})


class Fallen(NamedTuple):
    """Operations of one line that fell to the host in each call; all but ``stack`` interned."""

    operation: int
    requested: int
    actual: int
    reason: int
    dtypes: int
    stack: int


def fallen_in(
    context: TensorflowContext,
    parts: Iterable[Any],
    original: Callable[[Any], Any],
    kernels: KernelTable | None,
) -> tuple[Fallen, ...]:
    """What fell to the host; ``original`` finds the traced operation of a node of a part."""
    return tuple(dict.fromkeys(_fallen(context, parts, original, kernels)))


def _fallen(
    context: TensorflowContext,
    parts: Iterable[Any],
    original: Callable[[Any], Any],
    kernels: KernelTable | None,
) -> Iterator[Fallen]:
    missing: dict[str, str] = {}
    for part in parts:
        for node in part.node:
            actual = context.device(node.device)
            operation = None if node.op in _NO_WORK or not actual.is_host else original(node)
            if operation is None or not operation.device or operation.type in _NO_WORK:
                continue
            asked = context.device(operation.device)
            if not asked.name.startswith("GPU:"):
                continue
            types = [tensor.dtype.base_dtype for tensor in operation.inputs]
            if asked.name not in missing:
                missing[asked.name] = absent(context, asked.name)
            reason = _reason(operation, types, missing[asked.name], kernels)
            if reason:
                kept = places_of(operation)
                yield Fallen(
                    context.string(operation.type),
                    asked.number,
                    actual.number,
                    context.string(reason),
                    context.string(", ".join(kind.name for kind in types)),
                    context.sites.known(kept),
                )


def _reason(operation: Any, types: list[Any], missing: str, kernels: KernelTable | None) -> str:
    attributes = {name: a.type for name, a in operation.node_def.attr.items() if a.type}
    takes = None
    if kernels is not None and kernels.knows(operation.type):
        takes = kernels.gpu_kernel(operation.type, attributes) is not None
    if _RESOURCES & {*types, *(tensor.dtype.base_dtype for tensor in operation.outputs)}:
        return "no kernel" if takes is False and is_lookup(operation.type) else "resource"
    return missing or ("no kernel" if takes is False else "")


def is_lookup(operation: str) -> bool:
    """Whether it works on a lookup table."""
    return operation.startswith("LookupTable")


def absent(context: TensorflowContext, name: str) -> str:
    """Why the GPU of this name cannot be used: "no device", "hidden"; "" where it can."""
    if name in {context.device(gpu.name).name for gpu in tf.config.list_logical_devices("GPU")}:
        return ""
    physical = tf.config.list_physical_devices("GPU")
    is_hidden = set(physical) - set(tf.config.get_visible_devices("GPU"))
    number = name.rpartition(":")[2]
    return "hidden" if is_hidden and int(number) < len(physical) else "no device"


def add_fallen(
    context: TensorflowContext, fallen: Iterable[Fallen], start_ns: int, state: ThreadState
) -> None:
    """The rows of one call."""
    for number, one in enumerate(fallen):
        *columns, stack = one
        context.fallbacks.append(
            (start_ns + number, *columns, stack, state.thread, state.phase, -1, 0)
        )
