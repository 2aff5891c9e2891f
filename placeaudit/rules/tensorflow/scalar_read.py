"""PA201 in TensorFlow: a single value read in every step."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

import numpy as np

from placeaudit.analyze.callsite import CallSite
from placeaudit.analyze.uses import Use, UseKind
from placeaudit.model import Finding
from placeaudit.rules.base import recurs
from placeaudit.rules.facts import TINY_BYTES, Facts, Group
from placeaudit.rules.tensorflow.host_detour import detour_downloads
from placeaudit.rules.transfers import host_bounce, small_copies
from placeaudit.rules.transfers.duplicate_download import duplicate_downloads
from placeaudit.rules.transfers.round_trip import round_trips
from placeaudit.rules.waits.scalar_read import (
    ScalarRead,
    judged_use,
    read_at_the_end,
    values_read,
)

__all__ = ["TensorflowScalarRead"]

_KEEP: Final = (
    "keep the value on the device: add it to a tensor, or to a tf.keras.metrics.Mean, and read "
    "that once after the loop"
)
_FIXES: Final = {
    UseKind.PRINTED: "print every N steps only: `if step % 100 == 0:`",
    UseKind.FRAMEWORK: "pass the tensor instead of the number: TensorFlow's functions take tensors",
    UseKind.ASSERTED: "check every N steps only, or use `tf.debugging.assert_…` in a tf.function",
    UseKind.BRANCH: (
        "decide on the device (`tf.where` of three arguments, `tf.cond` in a tf.function), or test "
        "every N steps only"
    ),
    UseKind.RETURNED: "return the tensor and let the caller read it when it needs the number",
    UseKind.DISCARDED: "remove the read: nothing uses its value",
    UseKind.NEEDED: "if it is not needed in each step, read it every N steps only",
    UseKind.INDEX: "if it is not needed in each step, read it every N steps only",
}


class TensorflowScalarRead(ScalarRead):
    """``float(t)``, ``bool(t)``, ``int(t)``, ``t.numpy()``, printing a tensor of one element.

    Keep totals in a tensor or a ``tf.keras.metrics.Mean``, and read that once after the loop.  What
    ``fit`` and ``train_on_batch`` read for their logs is Keras' own and ``info``; in a callback of
    yours, ``logs`` holds numbers that cost nothing more.
    """

    def check(self, facts: Facts) -> Iterable[Finding]:
        """One finding for each site that reads values."""
        audit, copies = facts.audit, facts.audit.copies
        read = [i for i, text in enumerate(audit.strings) if text == "numpy"]
        rows = np.isin(copies.operation, read) & facts.downloads() & (copies.bytes <= TINY_BYTES)
        rows &= ~facts.once(round_trips).downloads & (facts.once(duplicate_downloads) < 0)
        rows &= ~facts.once(host_bounce.downloads) & ~facts.once(small_copies.explained)
        rows &= ~facts.once(detour_downloads)
        for group in facts.groups(copies, np.flatnonzero(rows)):
            call = facts.call(group.index)
            use = judged_use(facts, group, call)
            mine = values_read(facts, group, call, use)
            once = read_at_the_end(facts, mine, call)
            if len(mine) and not once and recurs(facts, copies, mine):
                found = Group(group.index, group.site, mine)
                yield self._in_words(facts, found, call, use)

    def _in_words(self, facts: Facts, group: Group, call: CallSite | None, use: Use) -> Finding:
        found = self._finding(facts, group, call, use)
        if found.library:
            return found
        fix = _FIXES.get(use.kind, _KEEP)
        if use.kind is UseKind.ACCUMULATED and call is not None and not _adds(call):
            fix = (
                "keep the tensor and read all of them once after the loop: `tf.stack(kept).numpy()`"
            )
        if not facts.recurrence(facts.audit.copies, group.rows).often:
            fix = f"none is needed at this rate; should it come more often: {fix}"
        return replace(found, fix=fix)


def _adds(call: CallSite) -> bool:
    return isinstance(call.file.statement(call.node), ast.AugAssign)
