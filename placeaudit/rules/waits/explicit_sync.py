"""PA205: explicit synchronisation inside the steps."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np

from placeaudit.model import Certainty, Evidence, Finding, Severity
from placeaudit.rules.base import finding, library_name
from placeaudit.rules.facts import Facts, Group

__all__ = ["ExplicitSync"]

_CAUSES: Final = ("synchronize", "empty_cache")


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
        without stopping it.
    """

    code = "PA205"
    name = "explicit-sync"
    severity = Severity.WARNING

    def check(self, facts: Facts) -> Iterable[Finding]:
        """One finding for each site that synchronises in steady state."""
        audit = facts.audit
        waits = audit.waits
        causes = [i for i, t in enumerate(audit.strings) if any(c in t for c in _CAUSES)]
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
        stray = recurrence.often and not library
        emptied = "empty_cache" in cause
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
            ),
            fix=(
                "remove it: the allocator uses its cache again; where memory is short, lower the "
                "batch size"
                if emptied
                else "remove it: reading a result waits by itself where it must; to time the "
                "device, record events and read them after the loop"
            ),
            evidence=[Evidence("call", f"{cause} was called {len(rows)} times")],
            # What was queued before decides how long it waits: the link model does not know that.
            timed=not audit.meta.simulated,
        )
