"""Where a tensor says it is: on ``GPU:0``, as there.

A program that prints, compares or hands on ``tensor.device`` must read the GPU's name.
TensorFlow's own modules, and this package, go on reading the name of the CPU device that stands for
it: they compare it with others that were never translated.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from tensorflow.python.framework import indexed_slices, ops
from tensorflow.python.ops import resource_variable_ops

if TYPE_CHECKING:
    from placeaudit.simulate.tensorflow_gpu.names import Names
    from placeaudit.simulate.tensorflow_gpu.patches import Patches

__all__ = ["add_shown_devices"]

_INSIDE: Final = ("tensorflow.", "placeaudit.")


def add_shown_devices(patches: Patches, names: Names) -> None:
    """Have ``device`` of tensors, variables and operations name simulated GPUs."""
    eager: Any = ops.EagerTensor
    backing: Any = vars(eager)["backing_device"]
    standing: Any = vars(eager)["device"]

    def device_of(self: Any) -> str:
        name: str = standing.__get__(self)
        if names.to_shown(name) == "cpu":
            # What a function returns says where it was called: on a machine with a GPU that is
            # the GPU.  Without one it is the host, and only the memory tells.
            name = backing.__get__(self)
        return name

    _translate(patches, names, eager, standing.__get__, device_of)
    others: tuple[Any, ...] = (
        ops.SymbolicTensor, ops.Operation, indexed_slices.IndexedSlices,
        resource_variable_ops.BaseResourceVariable,
    )  # fmt: skip
    for owner in others:
        read = owner.device.fget
        _translate(patches, names, owner, read, read)


def _translate(
    patches: Patches,
    names: Names,
    owner: Any,
    inside: Callable[[Any], str],
    outside: Callable[[Any], str],
) -> None:
    def device(self: Any) -> str:
        if sys._getframe(1).f_globals.get("__name__", "").startswith(_INSIDE):
            return inside(self)
        return names.to_full(outside(self))

    device.__doc__ = owner.device.__doc__
    patches.replace(owner, "device", property(device))
