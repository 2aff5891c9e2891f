"""PA204 in TensorFlow: operations whose result's size only the device knows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np

from placeaudit.model import Certainty, Evidence, Finding, Severity
from placeaudit.rules.base import by_library, finding, library_name, plural, recurs
from placeaudit.rules.facts import Facts, Group
from placeaudit.rules.waits.dynamic_shape import DynamicShape

__all__ = ["TensorflowDynamicShape"]

_MASK: Final = (
    "keep the shape: multiply by `tf.cast(mask, x.dtype)` and divide by its sum, or take "
    "`tf.where(mask, x, 0.0)` of three arguments"
)
_UNIQUE: Final = (
    "where the values are small numbers, `tf.math.bincount(…, minlength=n, maxlength=n)` or "
    "`tf.math.unsorted_segment_sum` counts them in a fixed size; for data, do it in tf.data"
)
#: By operation: what people call, and what to do instead.
_OPERATIONS: Final = {
    "Where": ("tf.where", _MASK),
    "Unique": ("tf.unique", _UNIQUE),
    "UniqueV2": ("tf.unique", _UNIQUE),
    "UniqueWithCounts": ("tf.unique_with_counts", _UNIQUE),
    "UniqueWithCountsV2": ("tf.unique_with_counts", _UNIQUE),
    "DynamicPartition": (
        "tf.dynamic_partition",
        "keep the shape: compute all parts and choose by `tf.where` of three arguments",
    ),
}


class TensorflowDynamicShape(DynamicShape):
    """``tf.boolean_mask``, ``tf.where`` of one argument, ``tf.unique``, ``tf.dynamic_partition``.

    On a GPU each counts first, and the host waits for the count before the next operation can be
    given its shape.  ``tf.where`` of three arguments and multiplying by a mask keep the shape.
    Inside a ``tf.function`` it is the runtime's threads that wait, and the call ends only after
    them: what could be queued meanwhile is not.
    """

    def check(self, facts: Facts) -> Iterable[Finding]:
        """One finding for each site that waits for a size."""
        waits = facts.audit.waits.alone
        causes = [i for i, text in enumerate(facts.audit.strings) if text in _OPERATIONS]
        for group in facts.groups(waits, np.flatnonzero(np.isin(waits.cause, causes))):
            if recurs(facts, waits, group.rows):
                yield self._of_operation(facts, group)

    def _of_operation(self, facts: Facts, group: Group) -> Finding:
        waits, rows = facts.audit.waits.alone, group.rows
        recurrence = facts.recurrence(waits, rows)
        name, fix = _OPERATIONS[facts.audit.text(int(waits.cause[rows[0]]))]
        call = facts.call(group.index)
        text = f"`{call.text}`" if call else name
        library = library_name(group.site)
        if library:
            text = f"{library}, called by {text},"
        return finding(
            self, facts, waits, rows,
            severity=by_library(
                group.site, Severity.WARNING if recurrence.often else Severity.INFO
            ),
            certainty=Certainty.LIKELY if library else Certainty.PROVEN,
            message=f"{text} makes a tensor whose size only the device knows, and the host waits "
                    f"for it, {recurrence.words}",
            fix=fix,
            evidence=[Evidence("operation", f"{name} waited {plural(len(rows), 'time')}")],
        )  # fmt: skip
