"""Where the optimizers of Keras keep their state: a row for each variable they have of a weight."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from placeaudit.record.clock import now_ns

if TYPE_CHECKING:
    from types import FrameType

    from placeaudit.record.tensorflow.context import TensorflowContext

__all__ = ["SlotCensus"]


class SlotCensus:
    """Compares, once for each optimizer, the device of its slots with that of their weights."""

    def __init__(self, context: TensorflowContext) -> None:
        self._context = context
        self._placements = context.writer.rows("placements")
        #: Number of its variables when an optimizer was looked at, by its number.
        self._seen: dict[int, int] = {}

    def look(self, optimizer: Any, frame: FrameType | None) -> None:
        """The optimizer has been applied at ``frame``."""
        owner = self._context.owner(optimizer)
        count = len(optimizer.variables)
        if self._seen.get(owner) == count:
            return
        self._seen[owner] = count
        stack = self._context.sites.capture(frame)
        for name, slot, weight in _slots(optimizer):
            kind = type(optimizer).__name__
            self._placements.append((*self._row(kind, name, slot, weight), owner, stack))

    def _row(self, kind: str, name: str, slot: Any, weight: Any) -> tuple[object, ...]:
        context = self._context
        shape = tuple(int(size) for size in slot.shape)
        size = int(slot.dtype.size)
        for length in shape:
            size *= length
        return (
            now_ns(), context.string("optimizer-state"), context.string(kind),
            context.string(name), context.device(slot.device).number,
            context.string(slot.dtype.name), context.shape(shape), size,
            context.device(weight.device).number,
        )  # fmt: skip


def _slots(optimizer: Any) -> Iterator[tuple[str, Any, Any]]:
    """``("dense/kernel.momentums", slot, weight)``, the two as TensorFlow's own variables.

    A slot is what stands, in a list of the optimizer's, at the place of a weight of its shape.
    """
    weights = list(optimizer._trainable_variables)
    for attribute, values in vars(optimizer).items():
        if not isinstance(values, (list, tuple)) or len(values) != len(weights):
            continue
        for weight, slot in zip(weights, values, strict=True):
            mine, other = _variable(slot), _variable(weight)
            if mine is not None and mine is not other and mine.shape == other.shape:
                yield f"{weight.path}.{attribute.lstrip('_')}", mine, other


def _variable(value: Any) -> Any:
    """TensorFlow's variable behind one of Keras; None for anything else."""
    found = getattr(value, "value", None)
    found = value if callable(found) else found
    return found if hasattr(found, "handle") else None
