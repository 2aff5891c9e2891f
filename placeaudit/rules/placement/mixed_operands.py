"""PA302: arithmetic of vectors whose operands lie on different devices."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from placeaudit.model import Certainty, Evidence, Finding, Severity
from placeaudit.rules.base import directed, finding, plural, recurs, size_words
from placeaudit.rules.estimate import estimate
from placeaudit.rules.facts import Facts, Group, Rows

__all__ = ["MixedOperands"]

#: Operations that are named in a message.
_NAMED = 3


class MixedOperands:
    """A vector operation over operands on different devices.

    What it does
        Finds arithmetic of vector classes (declearn's, and those given to
        ``placeaudit.register_vector``) in which tensors of one device meet tensors of another, and
        says what it copied, where the result lies, and what the other order would do.

    Why it costs
        Every such operation copies one operand, which nothing in the line shows.  The order of the
        operands decides where the result lies, and so where all that follows from it runs.

    Example:
        ::

            velocity = TorchVector.unpack(saved)        # on the host
            for gradients in steps():                   # on the device
                velocity = velocity * 0.9 + gradients   # copies, and stays on the host

    Use instead
        ::

            velocity = TorchVector({k: v.to(device) for k, v in velocity.coefs.items()})
            for gradients in steps():
                velocity = velocity * 0.9 + gradients

    When it is fine
        A single sum, as of a checkpoint with what was trained since, is ``info``.  Host tensors
        without dimensions that the device takes as plain numbers copy nothing and are not reported.
    """

    code = "PA302"
    name = "mixed-operands"
    severity = Severity.WARNING

    def check(self, facts: Facts) -> Iterable[Finding]:
        """One finding for each site, plug-in and pair of devices."""
        vectors, mixed = facts.audit.vectors, facts.mixed
        free = facts.audit.copies.allowed < 0
        copied = np.unique(mixed[(mixed >= 0) & free])
        for group in facts.groups(vectors, copied):
            for rows in _alike(facts, group):
                copies = np.flatnonzero(np.isin(mixed, rows) & free)
                yield self._finding(facts, rows, copies)

    def _finding(self, facts: Facts, rows: Rows, copies: Rows) -> Finding:
        audit, vectors = facts.audit, facts.audit.vectors
        severity = Severity.WARNING if recurs(facts, vectors, rows) else Severity.INFO
        direction, src, dst, size = directed(audit, copies)
        first = int(rows[0])
        recurrence = facts.recurrence(vectors, rows)
        times = recurrence.words
        found = finding(
            self,
            facts,
            vectors,
            rows,
            severity=severity,
            certainty=Certainty.PROVEN,
            message=(
                f"{_what(facts, rows)}: {plural(len(copies), 'copy', 'copies')} of "
                f"{size_words(size)} in all, {times}; {_order(facts, first)}"
            ),
            fix=_fix(facts, first),
            evidence=[
                Evidence(
                    "vectors",
                    f"{plural(len(rows), 'operation')} with operands on different devices made "
                    f"{plural(len(copies), 'copy', 'copies')}",
                )
            ],
            timed=False,
        )
        return replace(
            found,
            bytes=size,
            direction=direction,
            src=src,
            dst=dst,
            blocked_s=float(audit.copies.blocked_ns[copies].sum()) / 1e9,
            blocked_basis=audit.meta.basis,
            estimate=estimate(facts, audit.copies, copies),
        )


def _alike(facts: Facts, group: Group) -> Iterator[Rows]:
    """The operations of one line by plug-in and by where their operands lie."""
    vectors = facts.audit.vectors
    found: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for row in group.rows.tolist():
        key = vectors.plugin[row], vectors.left[row], vectors.right[row]
        found[tuple(int(value) for value in key)].append(row)
    yield from (np.array(rows, dtype=np.int32) for rows in found.values())


def _what(facts: Facts, rows: Rows) -> str:
    """The operands in their order, and whose they are."""
    audit, vectors = facts.audit, facts.audit.vectors
    first = int(rows[0])
    names = sorted({audit.text(int(i)) for i in np.unique(vectors.operation[rows])})
    named = ", ".join(f"`{name}`" for name in names[:_NAMED])
    left, right = audit.text(int(vectors.left[first])), audit.text(int(vectors.right[first]))
    sides = [left, right]
    for side, column in enumerate((vectors.left_state, vectors.right_state)):
        states = sorted({audit.text(int(i)) for i in np.unique(column[rows]) if i >= 0})
        if states:
            sides[side] += f" (its state {', '.join(f'`{state}`' for state in states[:_NAMED])})"
    plugin = audit.text(int(vectors.plugin[first]))
    who = f"{plugin}: " if plugin else ""
    cls = audit.text(int(vectors.cls[first]))
    return f"{who}{named} of {cls} takes operands on {sides[0]} and {sides[1]}"


def _order(facts: Facts, row: int) -> str:
    """Where the result lies, and what the other order would give."""
    audit, vectors = facts.audit, facts.audit.vectors
    left, right, result = (
        audit.text(int(column[row])) for column in (vectors.left, vectors.right, vectors.result)
    )
    if result == left:
        other = size_words(int(vectors.left_bytes[row]))
        return (
            f"the left operand decides, so the result lies on {left}; the other order would copy "
            f"{other} each time and leave it on {right}"
        )
    if result == right:
        return f"the result lies on {right}, where the right operand is"
    return f"the result lies on {result}" if result else "it has no result on a device"


def _fix(facts: Facts, row: int) -> str:
    audit, vectors = facts.audit, facts.audit.vectors
    left, right = audit.text(int(vectors.left[row])), audit.text(int(vectors.right[row]))
    astray = left if left == "cpu" else right
    device = right if astray == left else left
    plugin = audit.text(int(vectors.plugin[row]))
    if plugin:
        return (
            f"bring the state of {plugin} to {device} once, where it is restored: build its "
            "vectors from tensors moved there before `set_state`"
        )
    return f"move the operand on {astray} to {device} once, where it is made or loaded"
