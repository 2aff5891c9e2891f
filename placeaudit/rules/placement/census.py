"""The census of placements, as rules ask for it: what lived where last."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from placeaudit.model import Certainty, Evidence, Finding, Frame, Severity, Site
from placeaudit.rules.base import Rule, library_name
from placeaudit.rules.facts import Facts

__all__ = ["Placed", "census", "placed_finding"]


@dataclass(frozen=True, slots=True)
class Placed:
    """A tensor and where it lived when the census last wrote it."""

    kind: str
    #: Class of the root module or optimizer, and which of its objects: (process, identity).
    owner: str
    identity: tuple[int, int]
    name: str
    device: str
    #: Device of the parameter it belongs to, "" where it belongs to none.
    expected: str
    dtype: str
    shape: str
    bytes: int
    #: Index into ``Audit.sites`` of the call whose hook took the census.
    site: int

    @property
    def elements(self) -> int:
        """Number of elements."""
        return math.prod(int(size) for size in self.shape.split("x")) if self.shape else 1


def census(facts: Facts) -> tuple[Placed, ...]:
    """The last row of each tensor: a row is written again only when something changed."""
    audit = facts.audit
    rows = audit.placements
    columns = (rows.process, rows.identity, rows.owner, rows.kind, rows.name)
    keys = zip(*(column.tolist() for column in columns), strict=True)
    last = {key: row for row, key in enumerate(keys)}
    text = audit.text
    return tuple(
        Placed(
            kind=text(int(rows.kind[row])),
            owner=text(int(rows.owner[row])),
            identity=(int(rows.process[row]), int(rows.identity[row])),
            name=text(int(rows.name[row])),
            device=text(int(rows.device[row])),
            expected=text(int(rows.expected_device[row])),
            dtype=text(int(rows.dtype[row])),
            shape=text(int(rows.shape[row])),
            bytes=int(rows.bytes[row]),
            site=int(rows.site[row]),
        )
        for row in sorted(last.values())
    )


def placed_finding(
    rule: Rule,
    facts: Facts,
    found: Sequence[Placed],
    *,
    severity: Severity,
    message: str,
    fix: str,
    module: str = "",
    evidence: Sequence[Evidence] = (),
) -> Finding:
    """One finding for tensors of the census; it stands at the call that the first was seen in."""
    site = facts.audit.sites[found[0].site] if found[0].site >= 0 else Site(None)
    frame = site.frame or Frame("", "", 0)
    return Finding(
        rule=rule.code,
        name=rule.name,
        severity=severity,
        certainty=Certainty.PROVEN,
        message=message,
        fix=fix,
        file=frame.file,
        line=frame.line,
        end_line=frame.end_line,
        col=frame.col,
        function=frame.function,
        module=module,
        count=len(found),
        bytes=int(np.sum([max(p.bytes, 0) for p in found])),
        library=library_name(site),
        evidence=tuple(evidence),
    )
