"""Totals of a run: how much crossed in which direction and how long the host waited."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from placeaudit.analyze.audit import Audit, Bools, Copies
from placeaudit.model import Direction, Finding, Severity

__all__ = ["Summary", "Traffic", "observed", "recurring", "summarize", "used"]


@dataclass(frozen=True, slots=True)
class Traffic:
    """What crossed in one direction over the run."""

    #: Number of copies.
    count: int
    #: Bytes that crossed.
    bytes: int
    #: Bytes a step, of what recurs in the steps; None where no step could be told.
    step_bytes: float | None


@dataclass(frozen=True, slots=True)
class Summary:
    """Totals of a run.  Sizes are bytes, times seconds."""

    #: Host to device.
    h2d: Traffic
    #: Device to host.
    d2h: Traffic
    #: Between devices.
    d2d: Traffic
    #: Times the host waited for a device, copies that wait included.
    waits: int
    #: Host time spent waiting, seconds; None where no device could be observed.
    blocked_s: float | None
    #: The same a step, of what recurs in the steps, seconds; None where no step could be told.
    step_blocked_s: float | None
    #: ``"measured"`` or ``"modelled on h100"``: what these times are.
    basis: str
    #: Number of steps; 0 where none could be told.
    steps: int
    #: How steps were told ("optimizer Adam"), "" where none could be.
    steps_how: str
    #: Findings by severity.
    errors: int
    warnings: int
    infos: int
    #: Devices seen or simulated, e.g. ``("cuda:0",)``.
    devices: tuple[str, ...]
    #: How long the run took, seconds.
    duration_s: float

    @property
    def copies(self) -> int:
        """Copies in all directions."""
        return self.h2d.count + self.d2h.count + self.d2d.count

    @property
    def bytes(self) -> int:
        """Bytes in all directions."""
        return self.h2d.bytes + self.d2h.bytes + self.d2d.bytes

    @property
    def strays(self) -> int:
        """Findings of warning and above."""
        return self.errors + self.warnings

    def traffic(self, direction: Direction) -> Traffic:
        """The totals of one direction."""
        return {Direction.H2D: self.h2d, Direction.D2H: self.d2h, Direction.D2D: self.d2d}[
            direction
        ]


def observed(audit: Audit) -> bool:
    """Whether there was a device, real or simulated, that could have been observed."""
    return bool(audit.meta.simulated or audit.meta.devices or len(audit.copies))


def used(audit: Audit) -> bool:
    """Whether the program did anything on a device: copied, waited, or had memory there."""
    if len(audit.copies) or len(audit.waits):
        return True
    placed = {audit.text(int(i)) for i in np.unique(audit.placements.device).tolist()}
    allocated = any(size for found in audit.meta.contexts for size in (found or {}).values())
    return allocated or bool(placed & set(audit.meta.devices))


def recurring(copies: Copies) -> Bools:
    """Which copies come from sites that copy in the steps, not only before or after them."""
    found: Bools = np.isin(copies.site, np.unique(copies.site[copies.steady]))
    return found


def _blocked_s(audit: Audit) -> float:
    """Host time of all waits: of those that copies make (0 for the others) and of the rest."""
    waited = int(audit.waits.own("blocked_ns").sum()) + int(audit.copies.blocked_ns.sum())
    return waited / 1e9


def _recurring_s(audit: Audit, recurs: Bools) -> float:
    """Host time of the waits at sites that wait in the steps."""
    waits = audit.waits
    site, steady, blocked = waits.own("site"), waits.own("steady"), waits.own("blocked_ns")
    again = np.isin(site, np.unique(site[steady]))
    return (int(blocked[again].sum()) + int(audit.copies.blocked_ns[recurs].sum())) / 1e9


def summarize(audit: Audit, findings: Sequence[Finding]) -> Summary:
    """Count copies, bytes, waits and findings of one run."""
    copies = audit.copies
    recurs = recurring(copies)
    traffic = []
    for code in range(len(Direction)):
        mask = copies.direction == code
        in_steps = int(copies.bytes[mask & recurs].sum())
        traffic.append(
            Traffic(
                count=int(np.count_nonzero(mask)),
                bytes=int(copies.bytes[mask].sum()),
                step_bytes=in_steps / len(audit.steps) if len(audit.steps) else None,
            )
        )
    by_severity = {
        severity: sum(1 for finding in findings if finding.severity is severity)
        for severity in Severity
    }
    return Summary(
        h2d=traffic[0],
        d2h=traffic[1],
        d2d=traffic[2],
        waits=len(audit.waits),
        blocked_s=_blocked_s(audit) if observed(audit) else None,
        step_blocked_s=(
            _recurring_s(audit, recurs) / len(audit.steps)
            if observed(audit) and len(audit.steps)
            else None
        ),
        basis=audit.meta.basis,
        steps=len(audit.steps),
        steps_how=audit.steps.how,
        errors=by_severity[Severity.ERROR],
        warnings=by_severity[Severity.WARNING],
        infos=by_severity[Severity.INFO],
        devices=audit.meta.devices,
        duration_s=audit.meta.duration_s,
    )
