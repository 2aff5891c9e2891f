"""PA205: explicit synchronisation inside the steps."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np

from placeaudit.analyze.audit import D2H
from placeaudit.model import Certainty, Evidence, Finding, Frame, Severity
from placeaudit.rules.base import finding, library_name
from placeaudit.rules.facts import Facts, Group, Rows

__all__ = ["ExplicitSync"]

_CAUSES: Final = ("synchronize", "empty_cache")
#: A call that finishes downloads in more than this share of its turns is there for them.
_MOST: Final = 0.5
_RELATED: Final = 4


class ExplicitSync:
    """``synchronize()`` of a device, stream or event, or ``empty_cache()``, in the step.

    What it does
        Finds calls that make the host wait for the device, or the allocator give memory back, in
        the steps.  Rarer than once in 10 steps, as once per epoch, is ``info``; outside the steps
        nothing is reported.

    Why it costs
        The host queues nothing while it waits, so the device idles afterwards.  ``empty_cache()``
        also makes the next allocations go to the driver, which waits each time.

    Example:
        ::

            loss.backward()
            optimizer.step()
            torch.cuda.synchronize()

    Use instead
        ::

            loss.backward()
            optimizer.step()

    When it is fine
        In a benchmark that times single steps.  Events, read once after the loop, time the device
        without stopping it.  A call that finishes a ``non_blocking`` download before the host reads
        it is needed: ``info``.
    """

    code = "PA205"
    name = "explicit-sync"
    severity = Severity.WARNING

    def check(self, facts: Facts) -> Iterable[Finding]:
        """One finding for each site that synchronises in steady state."""
        audit = facts.audit
        waits = audit.waits
        causes = [i for i, t in enumerate(audit.strings) if any(c in t for c in _CAUSES)]
        if not np.isin(waits.own("cause"), causes).any():
            return
        explicit = (waits.copy < 0) & np.isin(waits.cause, causes)
        for group in facts.groups(waits, np.flatnonzero(explicit)):
            rows = group.rows
            recurrence = facts.recurrence(waits, rows)
            once = len(audit.steps) > 1 and recurrence.touched == 1
            if waits.steady[rows].any() and not (once and not recurrence.often):
                yield self._finding(facts, group)

    def _finding(self, facts: Facts, group: Group) -> Finding:
        audit, rows = facts.audit, group.rows
        waits = audit.waits
        recurrence = facts.recurrence(waits, rows)
        cause = audit.text(int(waits.cause[rows[0]]))
        library = library_name(group.site)
        call = facts.call(group.index)
        text = f"`{call.text}`" if call else f"{cause}()"
        if library:
            text = f"{library}, called by {text},"
        emptied = "empty_cache" in cause
        downloads = [] if emptied else _finished(facts, rows)
        stray = recurrence.often and not library and not downloads
        return finding(
            self,
            facts,
            waits,
            rows,
            severity=Severity.WARNING if stray else Severity.INFO,
            certainty=Certainty.PROVEN if not library else Certainty.LIKELY,
            message=(
                f"{text} gives cached device memory back, {recurrence.words}"
                if emptied
                else f"{text} makes the host wait for the device, {recurrence.words}"
                + (f"; the download at line {downloads[0].line} needs it" if downloads else "")
            ),
            fix=_fix(emptied=emptied, needed=bool(downloads)),
            related=[("the download it finishes", frame) for frame in downloads],
            evidence=[Evidence("call", f"{cause} was called {len(rows)} times")],
            # What was queued before decides how long it waits: the link model does not know that.
            timed=not audit.meta.simulated,
        )


def _fix(*, emptied: bool, needed: bool) -> str:
    if needed:
        return "nothing, if the values are needed in this step; else wait a step later"
    if emptied:
        return (
            "remove it: the allocator uses its cache again; where memory is short, lower the batch "
            "size"
        )
    return (
        "remove it: reading a result waits by itself where it must; to time the device, record "
        "events and read them after the loop"
    )


def _finished(facts: Facts, rows: Rows) -> list[Frame]:
    """Where the downloads began that most of these waits finish: the host may read them only then.

    A wait finishes what its thread started to download since its wait before.  Uploads that wait
    are none of those: the driver may return from a small one early, and nobody relies on it.
    """
    copies, waits = facts.audit.copies, facts.audit.waits
    started = (copies.direction == D2H) & copies.non_blocking & ~copies.waits
    finishes = waits.copy < 0
    finishes[~finishes] = copies.direction[waits.copy[~finishes]] == D2H
    needed = np.zeros(len(rows), dtype=np.bool_)
    found: set[int] = set()
    for thread in np.unique(waits.thread[rows]).tolist():
        mine = np.flatnonzero(waits.thread[rows] == thread)
        theirs = waits.time_ns[finishes & (waits.thread == thread)]
        downloads = np.flatnonzero(started & (copies.thread == thread))
        at = np.searchsorted(theirs, waits.time_ns[rows[mine]], side="left")
        before = np.where(at > 0, theirs[at - 1], 0)
        first = np.searchsorted(copies.time_ns[downloads], before, side="right")
        last = np.searchsorted(copies.time_ns[downloads], waits.time_ns[rows[mine]], side="left")
        needed[mine] = last > first
        for start, stop in zip(first[last > first], last[last > first], strict=True):
            found.update(copies.site[downloads[start:stop]].tolist())
    if not needed.mean() > _MOST:
        return []
    frames = (facts.audit.sites[index].frame for index in sorted(found)[:_RELATED])
    return [frame for frame in frames if frame is not None]
