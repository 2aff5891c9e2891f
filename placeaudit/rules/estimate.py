"""What fixing a finding gives at most: a first bound, until the replay knows the bottleneck.

Without the copies and waits of a finding no path through the program gets shorter by more than
they take themselves.  A copy that the host waits for counts with the time the host was blocked,
which the copy is part of; one that it does not wait for, with the time it keeps the link busy, by
the link model.  What hides behind other work is not known here, so every figure is "at most".

In simulation a step takes the simulation's time, of which no share of a real step can be told, so
there is no ratio; and how long the host would wait for work queued before is not modelled, so what
the host waits for is no bound there: it is the time on an idle device.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from placeaudit.analyze.audit import Audit, Calls, Copies, Waits
from placeaudit.analyze.blocked import copies_blocked_ns, device_model
from placeaudit.model import Estimate, Finding
from placeaudit.rules.facts import Facts, Rows

__all__ = ["bound_s", "estimate"]

#: The slowest link of the hardware models: what bounds a device that none of them stands for.
_SLOWEST: Final = "t4"


def estimate(
    facts: Facts,
    events: Copies | Waits | Calls,
    rows: Rows,
    *,
    also: Rows | None = None,
    host_s: float = 0.0,
) -> Estimate | None:
    """The bound for ``rows``; None where no step can be told or nothing was timed.

    ``also`` are copies that the fix makes unnecessary too (the download of a round trip);
    ``host_s`` is measured host time over the run that goes with them.
    """
    audit = facts.audit
    steps = len(audit.steps)
    if steps < 2:  # noqa: PLR2004 (one step is no rate)
        return None
    simulated = bool(audit.meta.simulated)
    if isinstance(events, Calls) and simulated:
        return None
    waited, linked = _seconds(audit, events, rows)
    if also is not None and len(also):
        more = _seconds(audit, audit.copies, also)
        waited, linked = waited + more[0], linked + more[1]
    if not simulated:
        waited += host_s
    saved = (waited + linked) / steps
    return Estimate(
        saved_s=saved,
        ratio=None if simulated else _ratio(facts, events, rows, saved),
        low_s=0.0,
        high_s=saved,
        is_bound=not (simulated and waited),
        basis=_basis(audit, waited=waited, linked=linked),
    )


def bound_s(finding: Finding) -> float:
    """Seconds a step (over the run, where no step can be told) that a fix saves at most."""
    if finding.estimate is not None:
        return finding.estimate.high_s
    blocked = finding.blocked_s or 0.0
    if finding.per_step is None or not finding.count:
        return blocked
    return blocked / finding.count * finding.per_step


def _seconds(audit: Audit, events: Copies | Waits | Calls, rows: Rows) -> tuple[float, float]:
    """Host time blocked by ``rows``, and link time of those that the host does not wait for."""
    waited = float(events.blocked_ns[rows].sum()) / 1e9
    if not isinstance(events, Copies):
        return waited, 0.0
    rows = rows[~events.waits[rows]]
    if not len(rows):
        return waited, 0.0
    busy = copies_blocked_ns(
        device_model(audit.meta.simulated or _SLOWEST),
        direction=events.direction[rows],
        size=events.bytes[rows],
        pinned=events.pinned[rows],
        waits=np.ones(len(rows), dtype=np.bool_),
        host_ns=events.host_ns[rows],
    )
    return waited, float(busy.sum()) / 1e9


def _ratio(
    facts: Facts, events: Copies | Waits | Calls, rows: Rows, saved_s: float
) -> float | None:
    """The share of a measured step, at most all of it.

    What comes step by step is compared with the median step; what comes in an evaluation between
    some of them would exceed it, and is compared with the mean.
    """
    steps = facts.audit.steps
    lengths = (steps.end_ns - steps.start_ns)[1:] / 1e9
    stepwise = not facts.recurrence(events, rows).in_evaluation
    step_s = float(np.median(lengths) if stepwise else np.mean(lengths))
    return min(1.0, saved_s / step_s) if step_s > 0 else None


def _basis(audit: Audit, *, waited: float, linked: float) -> str:
    """Where the figure comes from."""
    if audit.meta.simulated:
        return audit.meta.basis
    if not linked:
        return "measured"
    modelled = f"modelled on {_SLOWEST}"
    return f"measured and {modelled}" if waited else modelled
