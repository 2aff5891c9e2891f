"""What a rule is, and how one is turned into a finding at one site."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from placeaudit.analyze.audit import Audit, Calls, Copies, Events, Waits
from placeaudit.analyze.columns import distinct
from placeaudit.analyze.sites import module_path
from placeaudit.model import Certainty, Direction, Evidence, Finding, Frame, Phase, Severity, Site
from placeaudit.rules.estimate import estimate
from placeaudit.rules.facts import Facts, Recurrence, Rows

__all__ = ["Rule", "by_library", "directed", "finding", "library_name", "plural", "recurs"]

_KIB: Final = 1024
_DIRECTIONS: Final = (Direction.H2D, Direction.D2H, Direction.D2D)


class Rule(Protocol):
    """One rule.  Its class docstring is what ``placeaudit explain`` prints.

    The docstring has the sections *What it does*, *Why it costs*, *Example*, *Use instead* and
    *When it is fine*.
    """

    #: "PA103"; a retired code is never used again.
    code: str
    #: "host-created"
    name: str
    #: The worst severity it gives.
    severity: Severity

    def check(self, facts: Facts) -> Iterable[Finding]:
        """The rule's findings in the audit, in any order."""
        ...


def plural(count: int, one: str, many: str = "") -> str:
    """The count with its noun: 1 copy, 3 copies."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def size_words(count: int) -> str:
    """Bytes for a message: "512 bytes", "4 KiB", "1.5 GiB"."""
    if count < _KIB:
        return plural(count, "byte")
    value, units = float(count), iter(("KiB", "MiB", "GiB", "TiB"))
    unit = ""
    while value >= _KIB and (unit := next(units, "")):
        value /= _KIB
    return f"{value:.3g} {unit}"


def library_name(site: Site) -> str:
    """The package that acted on the user's behalf, with torch's module: "torch.amp.grad_scaler"."""
    frame = site.library
    if frame is None or not frame.package:
        return ""
    if frame.package != "torch":
        return frame.package
    path = module_path(frame).removesuffix(".py").removesuffix("/__init__")
    return path.replace("/", ".") if path.startswith("torch") else frame.package


def by_library(site: Site, severity: Severity) -> Severity:
    """``severity``, but at most ``info`` for what a package does on the user's behalf."""
    return Severity.INFO if site.library is not None else severity


def recurs(facts: Facts, events: Events, rows: Rows) -> bool:
    """Whether events of one site belong to the steady state and came more than once there.

    What ran a single time in a run of many steps is not worth a line of anybody's report.
    """
    if not events.steady[rows].any():
        return False
    recurrence = facts.recurrence(events, rows)
    return recurrence.steps == 0 or recurrence.touched > 1 or recurrence.often


def _most_frequent(values: npt.NDArray[np.integer]) -> int:
    found, counts = np.unique(values, return_counts=True)
    return int(found[np.argmax(counts)])


def _phase(events: Events, rows: Rows, recurrence: Recurrence) -> str:
    phase = _most_frequent(events.phase[rows])
    if phase == int(Phase.OTHER) and recurrence.in_evaluation:
        return Phase.EVALUATION.label
    return Phase(phase).label


def _ranks(audit: Audit, events: Events, rows: Rows) -> tuple[int, ...]:
    """The ranks whose events these are, where the record holds several."""
    ranks = audit.meta.ranks
    if len(set(ranks) - {None}) < 2:  # noqa: PLR2004  (one rank needs no name)
        return ()
    processes = distinct(events.process[rows]).tolist()
    return tuple(sorted({rank for i in processes if (rank := ranks[i]) is not None}))


def directed(audit: Audit, rows: Rows) -> tuple[Direction, str, str, int]:
    """Direction, source, destination and bytes of the copies in ``rows``."""
    copies, first = audit.copies, int(rows[0])
    return (
        _DIRECTIONS[int(copies.direction[first])],
        audit.text(int(copies.src_device[first])),
        audit.text(int(copies.dst_device[first])),
        int(copies.bytes[rows].sum()),
    )


def finding(
    rule: Rule,
    facts: Facts,
    events: Events,
    rows: Rows,
    *,
    severity: Severity,
    certainty: Certainty,
    message: str,
    fix: str,
    related: Sequence[tuple[str, Frame]] = (),
    evidence: Sequence[Evidence] = (),
    timed: bool = True,
    also: Rows | None = None,
    host_s: float = 0.0,
) -> Finding:
    """One finding for the events in ``rows``, all of one site that has a frame.

    ``timed`` is False where the host's blocked time is not known.  ``also`` and ``host_s`` are what
    the fix saves beyond ``rows``: other copies, and measured host time over the run.
    """
    audit = facts.audit
    site = audit.sites[int(events.site[rows[0]])]
    frame = site.frame
    assert frame is not None
    recurrence = facts.recurrence(events, rows)
    module = events.module[rows]
    direction, src, dst, size = None, "", "", 0
    if isinstance(events, Copies):
        direction, src, dst, size = directed(audit, rows)
    elif isinstance(events, Calls):
        size = int(events.bytes[rows].sum())
    blocked_s, saved = None, None
    if timed and isinstance(events, Copies | Waits | Calls):
        blocked_s = float(events.blocked_ns[rows].sum()) / 1e9
        saved = estimate(facts, events, rows, also=also, host_s=host_s)
    if site.via_backward:
        message += " (in backward; the forward line could not be told)"
    return Finding(
        rule=rule.code,
        name=rule.name,
        severity=severity,
        certainty=certainty,
        message=message,
        fix=fix,
        file=frame.file,
        line=frame.line,
        end_line=frame.end_line,
        col=frame.col,
        function=frame.function,
        module=audit.text(_most_frequent(module)),
        phase=_phase(events, rows, recurrence),
        count=len(rows),
        per_step=recurrence.per_step,
        bytes=size,
        direction=direction,
        src=src,
        dst=dst,
        blocked_s=blocked_s,
        blocked_basis="" if blocked_s is None else audit.meta.basis,
        estimate=saved,
        library=library_name(site),
        ranks=_ranks(audit, events, rows),
        related=tuple(related),
        evidence=tuple(evidence),
    )
