"""PA307, of vectors: deserialized onto the host although they meet vectors on a device."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from placeaudit.model import Certainty, Evidence, Finding, Frame, Severity, is_host
from placeaudit.rules.base import Rule, finding, plural, recurs, size_words
from placeaudit.rules.facts import Facts

__all__ = ["lost_vectors"]

_UNPACKING: Final = frozenset({"unpack", "unflatten"})
#: Lines that are named in a message.
_NAMED: Final = 3


@dataclass
class _Lost:
    """What was deserialized at one site and met vectors on a device."""

    #: Devices of those vectors.
    devices: set[str] = field(default_factory=set)
    #: Rows of the operations in which they met.
    met: list[int] = field(default_factory=list)


def lost_vectors(rule: Rule, facts: Facts) -> Iterable[Finding]:
    """One finding for each site that deserializes what is then copied to or from a device."""
    vectors = facts.audit.vectors
    lost = _lost(facts)
    if not lost:
        return
    names = [i for i, text in enumerate(facts.audit.strings) if text in _UNPACKING]
    unpacked = np.flatnonzero(np.isin(vectors.operation, names))
    for group in facts.groups(vectors, unpacked):
        if group.index in lost:
            yield _finding(rule, facts, group.rows, lost[group.index])


def _lost(facts: Facts) -> dict[int, _Lost]:
    """By site of deserialization."""
    audit, vectors = facts.audit, facts.audit.vectors
    copied = facts.vector_copies.made[audit.copies.allowed < 0]
    found: dict[int, _Lost] = defaultdict(_Lost)
    for row in np.unique(copied[copied >= 0]).tolist():
        left, right = (audit.text(int(c[row])) for c in (vectors.left, vectors.right))
        for here, there, origin, made in (
            (left, right, vectors.left_origin, vectors.left_made),
            (right, left, vectors.right_origin, vectors.right_made),
        ):
            lies_on_host = is_host(here) and not is_host(there)
            if lies_on_host and audit.text(int(origin[row])) == "deserialized":
                each = found[int(made[row])]
                each.devices.add(there)
                each.met.append(row)
    return found


def _finding(rule: Rule, facts: Facts, rows: np.ndarray, lost: _Lost) -> Finding:
    audit, vectors = facts.audit, facts.audit.vectors
    met = np.array(lost.met, dtype=np.int32)
    copies = np.flatnonzero(np.isin(facts.vector_copies.made, met))
    size = int(audit.copies.bytes[copies].sum())
    frames = dict.fromkeys(
        frame
        for site in np.unique(vectors.site[met]).tolist()
        if (frame := audit.sites[site].frame) is not None
    )
    related: list[tuple[str, Frame]] = [("meets a device's vector here", f) for f in frames]
    lines = ", ".join(str(frame.line) for frame in list(frames)[:_NAMED])
    device = ", ".join(sorted(lost.devices))
    made = finding(
        rule,
        facts,
        vectors,
        rows,
        severity=Severity.WARNING if recurs(facts, vectors, met) else Severity.INFO,
        certainty=Certainty.PROVEN,
        message=(
            f"what is deserialized onto the host here ({plural(len(rows), 'vector')}), or computed "
            f"from it, meets vectors on {device} (line {lines}): "
            f"{plural(len(copies), 'copy', 'copies')} of {size_words(size)} in all"
        ),
        fix=(
            "let the device policy that holds here name that device (`set_device_policy`), or "
            f"move what was deserialized to {device} once"
        ),
        related=related[:_NAMED],
        evidence=[
            Evidence(
                "provenance",
                f"{plural(len(met), 'operation')} took what was deserialized here as an operand",
            )
        ],
        timed=False,
    )
    return replace(made, bytes=size)
