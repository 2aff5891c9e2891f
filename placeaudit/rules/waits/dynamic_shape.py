"""PA204: operations whose result's size only the device knows."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import Final

import numpy as np
import numpy.typing as npt

from placeaudit.analyze.audit import Copies, Waits
from placeaudit.analyze.callsite import CallSite
from placeaudit.analyze.sites import module_path
from placeaudit.crossing import WAITING
from placeaudit.model import Certainty, Evidence, Finding, Frame, Severity
from placeaudit.rules.base import by_library, finding, library_name, plural, recurs
from placeaudit.rules.facts import TINY_BYTES, Facts, Group

__all__ = ["DynamicShape", "class_counts"]

#: Operators whose result's size depends on values, with the name people call them by.
_OPERATORS: Final = {
    operator.partition(".")[0]: waiting.name
    for operator, waiting in WAITING.items()
    if waiting.is_sized
}
_FIXES: Final = {
    "nonzero": (
        "where a bound is known, `torch.nonzero_static(…, size=n)` needs no answer; else compute "
        "with the mask itself instead of with positions"
    ),
    "unique": (
        "where the values are small numbers, `torch.bincount(…, minlength=n)` or `scatter_add_` "
        "counts them in a fixed size; for data, do it while loading"
    ),
    "repeat_interleave": "pass `output_size=`, the sum of the repeats, which the host often knows",
}


def class_counts(facts: Facts) -> npt.NDArray[np.bool_]:
    """By copy: the read of the largest label that ``one_hot`` without ``num_classes`` makes.

    Wins over PA201: nobody wrote a read there, and the option that avoids it has a name.
    """
    copies = facts.audit.copies
    out = np.zeros(len(copies), dtype=np.bool_)
    reads = facts.downloads() & copies.waits & (copies.bytes <= TINY_BYTES)
    for group in facts.groups(copies, np.flatnonzero(reads)):
        call = facts.call(group.index)
        if call is not None and _called(call) == "one_hot" and group.site.library is None:
            out[group.rows] = True
    return out


def _called(call: CallSite) -> str:
    """The last part of the called function's name."""
    node = call.node
    if not isinstance(node, ast.Call):
        return ""
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return call.file.dotted(node.func).rpartition(".")[2]


class DynamicShape:
    """An operation whose result's size the host must ask the device for.

    What it does
        Finds ``nonzero``, ``torch.where`` of one argument, reading through a boolean mask,
        ``masked_select``, ``unique``, ``one_hot`` without ``num_classes`` and ``repeat_interleave``
        without ``output_size`` on device tensors.  The look-ups that their backward repeats are
        counted at the forward line.

    Why it costs
        The host cannot make the result before the device has counted: it waits for everything
        queued before, and queues nothing meanwhile.

    Example:
        ::

            loss = criterion(logits, target)[mask].mean()

    Use instead
        ::

            loss = (criterion(logits, target) * mask).sum() / mask.sum()

    When it is fine
        Writing one number through a mask, ``x[mask] = 0``, does not wait and is not reported.
        Where much is cut away, computing less may be worth the wait.
    """

    code = "PA204"
    name = "dynamic-shape"
    severity = Severity.WARNING

    def check(self, facts: Facts) -> Iterable[Finding]:
        """One finding for each site that waits for a size."""
        audit = facts.audit
        waits, copies = audit.waits.alone, audit.copies
        causes = [i for i, text in enumerate(audit.strings) if text in _OPERATORS]
        # Printing a tensor looks for what is finite in it: that line is PA201's.
        printing = [i for i, stack in enumerate(audit.stacks) if any(map(_prints, stack))]
        sized = np.isin(waits.cause, causes) & ~np.isin(waits.stack, printing)
        for group in facts.groups(waits, np.flatnonzero(sized)):
            cause = audit.text(int(waits.cause[group.rows[0]]))
            if recurs(facts, waits, group.rows):
                yield self._finding(facts, waits, group, _OPERATORS[cause])
        for group in facts.groups(copies, np.flatnonzero(facts.once(class_counts))):
            if recurs(facts, copies, group.rows):
                yield self._finding(facts, copies, group, "one_hot")

    def _finding(
        self, facts: Facts, events: Waits | Copies, group: Group, operation: str
    ) -> Finding:
        rows = group.rows
        recurrence = facts.recurrence(events, rows)
        call = facts.call(group.index)
        text = f"`{call.text}`" if call else operation
        library = library_name(group.site)
        if library:
            text = f"{library}, called by {text},"
        again = int((events.backward[rows] == 1).sum())
        also = f", {plural(again, 'time')} of them in backward" if again else ""
        return finding(
            self,
            facts,
            events,
            rows,
            severity=by_library(
                group.site, Severity.WARNING if recurrence.often else Severity.INFO
            ),
            certainty=Certainty.PROVEN if not library else Certainty.LIKELY,
            message=(
                f"{text} makes a tensor whose size only the device knows, and the host waits for "
                f"it, {recurrence.words}"
            ),
            fix=_fix(call, operation),
            evidence=[
                Evidence("operation", f"{operation} waited {plural(len(rows), 'time')}{also}")
            ],
        )


def _prints(frame: Frame) -> bool:
    return frame.package == "torch" and module_path(frame) == "torch/_tensor_str.py"


def _fix(call: CallSite | None, operation: str) -> str:
    if operation == "one_hot":
        return "pass `num_classes=`: without it the largest label is read from the device"
    if operation == "repeat_interleave":
        return _FIXES[operation]
    if operation.startswith("unique"):
        return _FIXES["unique"]
    if call is not None and isinstance(call.node, ast.Subscript):
        return _mask_fix(call, call.node)
    if operation == "masked_select":
        return "keep the shape: `torch.where(mask, x, 0)`, or a weight of 0 for what is masked"
    return _FIXES["nonzero"]


def _mask_fix(call: CallSite, node: ast.Subscript) -> str:
    """For ``x[mask]``, read or written."""
    file = call.file
    subject, mask = file.quote(node.value), file.quote(node.slice)
    parent = file.parents.get(node)
    if isinstance(parent, ast.AugAssign):
        return (
            f"keep the shape: `{subject} = torch.where({mask}, …, {subject})` with the new values "
            "computed for all elements"
        )
    if isinstance(node.ctx, ast.Store):
        value = parent.value if isinstance(parent, ast.Assign) else None
        if isinstance(value, ast.Subscript) and file.quote(value.slice) == mask:
            value = value.value  # `x[mask] = y[mask]`
        new = file.quote(value) if value is not None else "…"
        return (
            f"write all elements at once: `{subject} = torch.where({mask}, {new}, {subject})`, "
            "with a value for each element or one for all"
        )
    reduced = parent.attr if isinstance(parent, ast.Attribute) else ""
    if reduced == "mean":
        return f"keep the shape: `({subject} * {mask}).sum() / {mask}.sum()`"
    if reduced == "sum":
        return f"keep the shape: `({subject} * {mask}).sum()`"
    return (
        f"keep the shape: `torch.where({mask}, {subject}, 0)`, or a weight of 0 for what is masked"
    )
