"""PA207: ``pin_memory()`` on the main thread right before the upload."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from placeaudit.analyze.audit import Ints
from placeaudit.analyze.sites import is_data
from placeaudit.model import Certainty, Evidence, Finding, Phase, Severity
from placeaudit.rules.base import by_library, finding, plural, recurs
from placeaudit.rules.facts import Facts, Group
from placeaudit.rules.transfers.duplicate_upload import duplicate_uploads
from placeaudit.rules.transfers.round_trip import round_trips

__all__ = ["PinInLoop", "Pins", "pins"]


@dataclass(frozen=True, slots=True)
class Pins:
    """What is known of each call of ``pin_memory()``."""

    #: The upload that follows it on its thread, -1 where none does.
    upload: Ints
    #: Whether a loader made the call while the main thread waited for a batch.
    by_loader: npt.NDArray[np.bool_]

    def uploads(self, facts: Facts) -> npt.NDArray[np.bool_]:
        """Copies that a call of the program's own, right before, pinned for: PA207's, not PA203's.

        What a loader pinned stays PA203's, whose advice is worth more there.
        """
        out = np.zeros(len(facts.audit.copies), dtype=np.bool_)
        mine = self.upload[(self.upload >= 0) & ~self.by_loader]
        out[mine] = True
        return out


def pins(facts: Facts) -> Pins:
    """Calls of ``pin_memory()`` on a thread that works on steps, with the upload of their result.

    Pinning on any other thread, a loader's or the program's own, is what pinning is for.
    """
    audit = facts.audit
    calls, copies = audit.calls, audit.copies
    upload = np.full(len(calls), -1, dtype=np.int64)
    by_loader = np.zeros(len(calls), dtype=np.bool_)
    kinds = [i for i, text in enumerate(audit.strings) if text == "pin_memory"]
    rows = np.flatnonzero(np.isin(calls.kind, kinds) & (calls.storage >= 0))
    if not len(rows):
        return Pins(upload, by_loader)
    explained = facts.once(round_trips).uploads | facts.once(duplicate_uploads).repeats
    candidates = np.flatnonzero(facts.uploads() & copies.pinned & ~explained)
    order = candidates[np.argsort(copies.src_storage[candidates], kind="stable")]
    at = np.searchsorted(copies.src_storage[order], calls.storage[rows], side="left")
    found = at < len(order)
    rows, first = rows[found], order[at[found]]
    same = copies.src_storage[first] == calls.storage[rows]
    same &= (copies.thread[first] == calls.thread[rows]) & (copies.step[first] == calls.step[rows])
    same &= ~_background(facts, calls.thread[rows])
    upload[rows[same]] = first[same]
    data = [i for i, stack in enumerate(audit.stacks) if is_data(stack)]
    by_loader = (calls.phase == int(Phase.LOADING)) | np.isin(calls.stack, data)
    return Pins(upload, by_loader)


def _background(facts: Facts, thread: Ints) -> npt.NDArray[np.bool_]:
    """Which of these threads do no step's work, where it is known which thread does."""
    audit = facts.audit
    spans = audit.spans
    kinds = [i for i, t in enumerate(audit.strings) if t in {"optimizer", "backward", "module"}]
    working = np.unique(spans.thread[np.isin(spans.kind, kinds)])
    if not len(working):
        return np.zeros(len(thread), dtype=np.bool_)
    return ~np.isin(thread, working)


class PinInLoop:
    """``pin_memory()`` called on the main thread right before the upload.

    What it does
        Finds calls of ``pin_memory()`` in the steps whose result the same thread uploads next.
        A DataLoader with ``pin_memory=True`` and ``num_workers=0`` pins on the main thread as well:
        that is ``info``.

    Why it costs
        Pinning allocates page-locked memory and copies the tensor on the host, while the host
        waits.  The upload itself gets faster by less than that: measured on an idle device, it can
        take twice as long as a plain upload.  Behind queued work an asynchronous one still pays, as
        a plain upload waits for that work; pinned elsewhere it costs nothing at all.

    Example:
        ::

            x = x.pin_memory().to(device, non_blocking=True)

    Use instead
        ::

            loader = DataLoader(dataset, batch_size=256, num_workers=4, pin_memory=True)
            for x, y in loader:
                x = x.to(device, non_blocking=True)

    When it is fine
        On a thread of its own, as a loader's pinning thread (not reported), and for a buffer that
        is pinned once and used again.
    """

    code = "PA207"
    name = "pin-in-loop"
    severity = Severity.WARNING

    def check(self, facts: Facts) -> Iterable[Finding]:
        """One finding for each site that pins."""
        calls = facts.audit.calls
        found = facts.once(pins)
        for group in facts.groups(calls, np.flatnonzero(found.upload >= 0)):
            if recurs(facts, calls, group.rows):
                yield self._finding(facts, group, found)

    def _finding(self, facts: Facts, group: Group, found: Pins) -> Finding:
        audit, rows = facts.audit, group.rows
        calls, copies = audit.calls, audit.copies
        recurrence = facts.recurrence(calls, rows)
        by_loader = bool(found.by_loader[rows].all())
        stray = recurrence.often and not by_loader
        uploads = found.upload[rows]
        pinned = group.site.frame
        related = [
            ("uploaded here", frame)
            for index in np.unique(copies.site[uploads]).tolist()[:3]
            if (frame := audit.sites[index].frame) is not None
            and (pinned is None or (frame.file, frame.line) != (pinned.file, pinned.line))
        ]
        call = facts.call(group.index)
        text = f"`{call.text}`" if call else "this line"
        if by_loader:
            text = "the DataLoader, which has no workers,"
        return finding(
            self,
            facts,
            calls,
            rows,
            severity=by_library(group.site, Severity.WARNING if stray else Severity.INFO),
            certainty=Certainty.PROVEN,
            message=(
                f"{text} pins memory on the thread that then uploads it, which copies on the host "
                f"first, {recurrence.words}"
            ),
            fix=(
                "give the loader workers, `num_workers=4`: it then pins on a thread of its own"
                if by_loader
                else _fix(asynchronous=bool(copies.non_blocking[uploads].all()))
            ),
            related=related,
            evidence=[
                Evidence(
                    "order",
                    f"{plural(len(rows), 'call')} of pin_memory, each followed on its thread by "
                    "the upload of what it returned",
                )
            ],
            # Pinning in simulation is a plain copy: its time says nothing.
            timed=not audit.meta.simulated,
        )


def _fix(*, asynchronous: bool) -> str:
    """What to do instead: a plain upload waits for what is queued, an asynchronous one does not."""
    elsewhere = (
        "let a loader with workers pin (`pin_memory=True`), or copy into a buffer pinned once"
    )
    if asynchronous:
        return (
            f"{elsewhere}; to drop `.pin_memory()` alone pays only where no work is queued on the "
            "device, as a plain upload waits for it"
        )
    return (
        "drop `.pin_memory()` here: a plain upload is faster than pinning and uploading; to have "
        f"both, {elsewhere}"
    )
