"""Which tensors hold the value of which variable: each read of one makes a new tensor.

So that two downloads of one variable, not written in between, are seen to be of the same thing.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any, Final

from tensorflow.python.framework import dtypes, ops

__all__ = ["Variables"]

#: Tensors of variables that are known at a time; of more the oldest are forgotten.
_MOST: Final = 1 << 12
_READ: Final = "ReadVariableOp"
#: Hands on what it is given.
_SAME: Final = "Identity"
#: Read a variable without making its value a tensor.
_READERS: Final = frozenset({"ResourceGather", "ResourceGatherNd", "VariableShape"})
#: What writes to variables is named like these.
_WRITERS: Final = ("Assign", "Resource")


class Variables:
    """Values read from variables, and how often each variable was written."""

    def __init__(self) -> None:
        self._read: OrderedDict[int, tuple[int, int]] = OrderedDict()
        self._written: dict[int, int] = {}

    def identity(self, tensor: Any) -> tuple[int, int]:
        """Identity and version of what ``tensor`` holds: its variable's, else its own and 0."""
        return self._read.get(tensor._id, (tensor._id, 0))

    def after(self, operation: str, inputs: Sequence[Any], result: Any) -> None:
        """An operation has run."""
        if operation == _READ:
            handle = inputs[0]._id
            self._remember(result, (handle, self._written.get(handle, 0)))
        elif operation == _SAME:
            known = self._read.get(getattr(inputs[0], "_id", -1))
            if known is not None:
                self._remember(result, known)
        elif operation.startswith(_WRITERS) and operation not in _READERS:
            self.passed(inputs)

    def passed(self, inputs: Iterable[Any]) -> None:
        """Variables among ``inputs`` may have been written."""
        for value in inputs:
            if isinstance(value, ops.EagerTensor) and value.dtype == dtypes.resource:
                self._written[value._id] = self._written.get(value._id, 0) + 1

    def _remember(self, result: Any, known: tuple[int, int]) -> None:
        tensor = result[0] if isinstance(result, (list, tuple)) else result
        self._read[tensor._id] = known
        if len(self._read) > _MOST:
            self._read.popitem(last=False)
