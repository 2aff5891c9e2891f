"""PA302: arithmetic of vectors whose operands lie on different devices."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from placeaudit.model import Certainty, Evidence, Finding, Frame, Severity, is_host
from placeaudit.rules.base import directed, finding, plural, recurs, size_words
from placeaudit.rules.estimate import estimate
from placeaudit.rules.facts import Facts, Rows

__all__ = ["MixedOperands"]

#: Operations that are named in a message.
_NAMED: Final = 3
#: Operations that mean the same in either order.
_COMMUTE: Final = frozenset({"add", "iadd", "mul", "imul", "minimum", "maximum", "eq"})
_SIDES: Final = ("left", "right")


class MixedOperands:
    """A vector operation over operands on different devices.

    What it does
        Finds arithmetic of vector classes (declearn's, and those given to
        ``placeaudit.register_vector``) in which tensors of one device meet tensors of another, and
        says what it copied, where the result lies, whose the operand on the wrong device is (a
        plug-in's state, an aggregator's, a plain operand) and where it was made or restored.  What
        the other order of the operands would do is evidence: recorded, or said to be computed.
        Uploads that only bring a result back are part of the finding.

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
        """One finding for each line, plug-in and pair of devices."""
        made = facts.vector_copies.made
        free = facts.audit.copies.allowed < 0
        copied = np.unique(made[(made >= 0) & free])
        for rows in _alike(facts, copied):
            yield self._finding(facts, rows, np.flatnonzero(np.isin(made, rows) & free))

    def _finding(self, facts: Facts, rows: Rows, copies: Rows) -> Finding:
        audit, vectors = facts.audit, facts.audit.vectors
        operations = _Operations.of(facts, rows)
        severity = Severity.WARNING if recurs(facts, vectors, rows) else Severity.INFO
        direction, src, dst, size = directed(audit, copies)
        returned = np.flatnonzero(np.isin(facts.vector_copies.returns, rows))
        found = finding(
            self,
            facts,
            vectors,
            rows,
            severity=severity,
            certainty=Certainty.PROVEN,
            message=(
                f"{operations.words}: {_per_turn(len(copies), size, len(rows))}, "
                f"{facts.recurrence(vectors, rows).words}; {operations.outcome}"
                f"{_returning(facts, returned)}"
            ),
            fix=operations.fix,
            related=[*operations.related, *_returned_at(facts, returned)],
            evidence=[
                Evidence(
                    "vectors",
                    f"{plural(len(rows), 'operation')} with operands on different devices made "
                    f"{plural(len(copies), 'copy', 'copies')} of {size_words(size)}",
                ),
                *operations.computed,
            ],
            timed=False,
        )
        mixed_directions = len(np.unique(audit.copies.direction[copies])) > 1
        return replace(
            found,
            bytes=size,
            direction=None if mixed_directions else direction,
            src=src,
            dst=dst,
            blocked_s=float(audit.copies.blocked_ns[copies].sum()) / 1e9,
            blocked_basis=audit.meta.basis,
            estimate=estimate(facts, audit.copies, copies, also=returned),
        )


def _per_turn(copies: int, size: int, operations: int) -> str:
    """The copies that one operation makes, where all make as many, else those of all."""
    if operations and copies % operations == 0 and size % operations == 0:
        each = plural(copies // operations, "copy", "copies")
        return f"{each} of {size_words(size // operations)} each time"
    return f"{plural(copies, 'copy', 'copies')} of {size_words(size)} in all"


def _returning(facts: Facts, returned: Rows) -> str:
    if not len(returned):
        return ""
    lines = sorted({frame.line for _, frame in _returned_at(facts, returned)})
    where = f"line {lines[0]}" if len(lines) == 1 else f"lines {', '.join(map(str, lines))}"
    return f", and {where} uploads what came of it" if lines else ""


def _returned_at(facts: Facts, returned: Rows) -> list[tuple[str, Frame]]:
    audit = facts.audit
    sites = np.unique(audit.copies.site[returned]).tolist()
    frames = (audit.sites[site].frame for site in sites)
    return [("uploaded again here", frame) for frame in frames if frame is not None]


def _alike(facts: Facts, copied: Rows) -> Iterator[Rows]:
    """The operations of one line by plug-in and by where their operands lie.

    Which lines inside the library a plug-in calls is of no interest: its state is.
    """
    vectors, audit = facts.audit.vectors, facts.audit
    found: dict[tuple[object, ...], list[int]] = defaultdict(list)
    for group in facts.groups(vectors, copied):
        for row in group.rows.tolist():
            plugin = int(vectors.plugin[row])
            where = group.site.frame if plugin >= 0 else group.index
            astray = _astray(
                audit.text(int(vectors.left[row])), audit.text(int(vectors.right[row]))
            )
            key = where, plugin, int(vectors.left[row]), int(vectors.right[row]), astray
            found[key].append(row)
    yield from (np.array(sorted(rows), dtype=np.int32) for rows in found.values())


def _astray(left: str, right: str) -> int:
    """Which side should move, 0 or 1: the one on the host; of two devices the right one."""
    return 0 if is_host(left) and not is_host(right) else 1


@dataclass(frozen=True)
class _Operations:
    """Operations of one line over operands on the same two devices, in words."""

    facts: Facts
    rows: Rows
    #: Devices of the operands and of the result.
    left: str
    right: str
    result: str
    plugin: str
    role: str
    #: Names of the plug-in's states on either side.
    states: tuple[tuple[str, ...], tuple[str, ...]]
    names: tuple[str, ...]

    @classmethod
    def of(cls, facts: Facts, rows: Rows) -> _Operations:
        vectors = facts.audit.vectors
        first = int(rows[0])

        def text(column: Rows) -> str:
            return facts.audit.text(int(column[first]))

        def texts(column: Rows) -> tuple[str, ...]:
            return tuple(sorted({facts.audit.text(int(i)) for i in column[rows] if i >= 0}))

        results = texts(vectors.result)
        return cls(
            facts, rows, text(vectors.left), text(vectors.right),
            results[0] if len(results) == 1 else "",
            text(vectors.plugin), text(vectors.role),
            (texts(vectors.left_state), texts(vectors.right_state)), texts(vectors.operation),
        )  # fmt: skip

    @property
    def astray(self) -> int:
        """The side that should move."""
        return _astray(self.left, self.right)

    @property
    def device(self) -> str:
        """Where it should move to."""
        return self.right if self.astray == 0 else self.left

    @property
    def words(self) -> str:
        """The operands in their order, and whose they are."""
        sides = [self.left, self.right]
        for side, states in enumerate(self.states):
            if states:
                named = ", ".join(f"`{state}`" for state in states[:_NAMED])
                sides[side] += f" (its state {named})"
        named = ", ".join(f"`{name}`" for name in self.names[:_NAMED])
        cls = self.facts.audit.text(int(self.facts.audit.vectors.cls[self.rows[0]]))
        who = f"{self.plugin}: " if self.plugin else ""
        return f"{who}{named} of {cls} takes operands on {sides[0]} and {sides[1]}"

    @property
    def outcome(self) -> str:
        """Where the result lay, as recorded."""
        if not self.result:
            return "it has no result on a device"
        if self.result in (self.left, self.right):
            side = _SIDES[self.result == self.right]
            return f"the result lies on {self.result}, where the {side} operand does"
        return f"the result lies on {self.result}"

    @property
    def computed(self) -> list[Evidence]:
        """What the other order would give: seen elsewhere in this run, or worked out."""
        if self.result != self.left or not set(self.names) <= _COMMUTE:
            return []
        size = size_words(int(self.facts.audit.vectors.left_bytes[self.rows[0]]))
        seen = self._other_order()
        if seen:
            text = f"the other order was recorded too ({seen}): its result lies on {self.right}"
        else:
            text = (
                f"not recorded but computed: were the order of the operands changed, and the left "
                f"one to decide there too, {size} would be copied each time and the result lie on "
                f"{self.right}"
            )
        return [Evidence("order", text)]

    def _other_order(self) -> str:
        """A place where operands on the same two devices met in the other order."""
        audit, vectors = self.facts.audit, self.facts.audit.vectors
        first = int(self.rows[0])
        there = np.flatnonzero(
            (vectors.cls == vectors.cls[first])
            & (vectors.left == vectors.right[first])
            & (vectors.right == vectors.left[first])
            & (vectors.result == vectors.right[first])
        )
        frame = audit.sites[int(vectors.site[there[0]])].frame if len(there) else None
        return f"line {frame.line}" if frame is not None else ""

    @property
    def related(self) -> list[tuple[str, Frame]]:
        """Where the operand that is astray was restored and made."""
        vectors, audit = self.facts.audit.vectors, self.facts.audit
        made, origin = (
            (vectors.left_made, vectors.left_origin),
            (vectors.right_made, vectors.right_origin),
        )[self.astray]
        found: dict[Frame, str] = {}
        for row in self.rows.tolist():
            frame = audit.sites[int(made[row])].frame
            if frame is not None:
                found.setdefault(frame, f"{audit.text(int(origin[row]))} here")
            frame = audit.sites[int(vectors.restored[row])].frame
            if frame is not None and self.states[self.astray]:
                found.setdefault(frame, "restored here")
        return [(text, frame) for frame, text in list(found.items())[:_NAMED]]

    @property
    def fix(self) -> str:
        """What to change, by whose operand it is that lies elsewhere."""
        states, device = self.states[self.astray], self.device
        lies = (self.left, self.right)[self.astray]
        places = [f"{text.removesuffix(' here')} at line {f.line}" for text, f in self.related]
        at = f" ({', '.join(places)})" if places else ""
        if self.role in ("aggregator", "aggregate"):
            return (
                f"bring what every peer sends to {device} before {self.plugin} combines it: move "
                f"the vectors on {lies} once, where they arrive{at}"
            )
        if self.plugin and states:
            return (
                f"bring the state of {self.plugin} to {device} once, where it is restored{at}: "
                "build its vectors from tensors moved there before `set_state`"
            )
        if self.plugin:
            return (
                f"give {self.plugin} vectors on {device}: what it is called with lies on {lies}{at}"
            )
        return f"move the operand on {lies} to {device} once, where it is made or loaded{at}"
