"""PA202: uploads from pageable memory, for which the host waits."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np

from placeaudit.model import Certainty, Evidence, Finding, Severity
from placeaudit.rules.base import by_library, finding, library_name, plural
from placeaudit.rules.facts import Facts, Group
from placeaudit.rules.transfers import host_created, host_detour, small_copies, wide_copy
from placeaudit.rules.transfers.duplicate_upload import duplicate_uploads
from placeaudit.rules.transfers.host_bounce import host_bounces
from placeaudit.rules.transfers.round_trip import round_trips
from placeaudit.rules.waits.host_index import host_indices

__all__ = ["PageableUpload"]

_LARGE_BYTES: Final = 64 * 1024
_RELATED: Final = 8


class PageableUpload:
    """A recurring upload of 64 KiB or more from pageable host memory.

    What it does
        Finds uploads whose source is not page-locked.  The driver stages such a copy, so the host
        waits, even with ``non_blocking=True``.  Uploads below 64 KiB are one ``info`` together.
        Copies that another rule shows to be unnecessary are left to that rule.

    Why it costs
        The host waits for the whole copy, at about half the bandwidth, while it could prepare the
        next step.

    Example:
        ::

            loader = DataLoader(dataset, batch_size=256)
            for x, y in loader:
                x = x.to(device)

    Use instead
        ::

            loader = DataLoader(dataset, batch_size=256, num_workers=4, pin_memory=True)
            for x, y in loader:
                x = x.to(device, non_blocking=True)

        Not ``x.pin_memory().to(device)`` on the main thread: pinning copies too, and waits longer.

    When it is fine
        In setup, or where the host has nothing else to do meanwhile.  TensorFlow decides itself
        which host memory is page-locked: of its uploads nothing is said.
    """

    code = "PA202"
    name = "pageable-upload"
    severity = Severity.WARNING

    def check(self, facts: Facts) -> Iterable[Finding]:
        """One finding for each site with large uploads, one for all the small ones."""
        copies = facts.audit.copies
        usable = facts.uploads() & copies.waits & ~copies.pinned
        usable &= ~facts.once(round_trips).uploads & ~facts.once(host_created.explained)
        usable &= ~facts.once(wide_copy.explained) & ~facts.once(host_detour.explained)
        usable &= ~facts.once(duplicate_uploads).repeats & ~facts.once(host_indices)
        usable &= ~facts.once(small_copies.explained) & (facts.once(host_bounces) < 0)
        large = copies.bytes >= _LARGE_BYTES
        for group in facts.groups(copies, np.flatnonzero(usable & large)):
            if self._recurs(facts, group):
                yield self._finding(facts, group)
        small = [
            group
            for group in facts.groups(copies, np.flatnonzero(usable & ~large))
            if self._recurs(facts, group) and group.site.library is None
        ]
        if small:
            yield self._together(facts, small)

    @staticmethod
    def _recurs(facts: Facts, group: Group) -> bool:
        copies = facts.audit.copies
        if not copies.steady[group.rows].any():
            return False
        if not len(facts.audit.steps):
            # Without steps, once is all that can be seen of a function under an assertion.
            return len(group.rows) > 1
        return facts.recurrence(copies, group.rows).often

    def _finding(self, facts: Facts, group: Group) -> Finding:
        audit, rows = facts.audit, group.rows
        copies = audit.copies
        recurrence = facts.recurrence(copies, rows)
        call = facts.call(group.index)
        text = f"`{call.text}`" if call else "this line"
        mean = int(copies.bytes[rows].mean()) // 1024
        asked = bool(copies.non_blocking[rows].all())
        note = " although `non_blocking=True` was asked for" if asked else ""
        device = audit.text(int(copies.dst_device[rows[0]]))
        by = f" (by {library_name(group.site)})" if group.site.library else ""
        return finding(
            self,
            facts,
            copies,
            rows,
            severity=by_library(group.site, Severity.WARNING),
            certainty=Certainty.PROVEN,
            message=(
                f"{text} uploads {mean} KiB from pageable memory to {device} and makes the host "
                f"wait{note}, {recurrence.words}{by}"
            ),
            fix=self._fix(facts, asked=asked),
            evidence=[
                Evidence("not-pinned", f"the source was not page-locked in {len(rows)} uploads"),
            ],
        )

    @staticmethod
    def _fix(facts: Facts, *, asked: bool) -> str:
        audit = facts.audit
        loading = [i for i, text in enumerate(audit.strings) if text == "loading"]
        also = "" if asked else ", then upload with `non_blocking=True`"
        if np.isin(audit.spans.kind, loading).any():
            return f"pass `pin_memory=True` to the DataLoader{also}"
        return (
            "let a loader's worker put the data into page-locked memory "
            f"(`DataLoader(…, pin_memory=True)`, or one buffer made once with `pin_memory=True`)"
            f"{also}; not `.pin_memory()` here"
        )

    def _together(self, facts: Facts, groups: list[Group]) -> Finding:
        copies = facts.audit.copies
        groups.sort(key=lambda g: -int(copies.blocked_ns[g.rows].sum()))
        rows = np.sort(np.concatenate([g.rows for g in groups]))
        # The finding stands at the site that waits longest: its rows come first.
        rows = np.concatenate([groups[0].rows, np.setdiff1d(rows, groups[0].rows)])
        others = [g.site.frame for g in groups[1 : _RELATED + 1]]
        return finding(
            self,
            facts,
            copies,
            rows,
            severity=Severity.INFO,
            certainty=Certainty.PROVEN,
            message=(
                f"{plural(len(rows), 'small upload')} (below 64 KiB) from pageable memory at "
                f"{plural(len(groups), 'line')} make the host wait a little each"
            ),
            fix=(
                "upload from page-locked memory with `non_blocking=True`, or make several small "
                "tensors one"
            ),
            related=[("uploads here too", frame) for frame in others if frame is not None],
            evidence=[
                Evidence("not-pinned", f"the source was not page-locked in {len(rows)} uploads"),
            ],
        )
