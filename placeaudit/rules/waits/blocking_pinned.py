"""PA203: a copy from or to pinned memory that waits because nobody asked it not to."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterable
from typing import Final

import numpy as np
import numpy.typing as npt

from placeaudit.analyze.audit import D2H, H2D
from placeaudit.analyze.callsite import CallSite
from placeaudit.analyze.readers import Reading, reading_after
from placeaudit.model import Certainty, Evidence, Finding, Severity
from placeaudit.rules.base import by_library, finding, library_name, recurs
from placeaudit.rules.facts import Facts, Group
from placeaudit.rules.transfers import host_created
from placeaudit.rules.transfers.duplicate_upload import duplicate_uploads
from placeaudit.rules.transfers.round_trip import round_trips
from placeaudit.rules.waits.host_index import host_indices
from placeaudit.rules.waits.pin_in_loop import pins

__all__ = ["BlockingPinned", "blocking_pinned"]

#: Methods that take ``non_blocking``.
_CALLS: Final = frozenset({"to", "cuda", "xpu", "copy_"})


def blocking_pinned(facts: Facts) -> npt.NDArray[np.bool_]:
    """By copy: between the device and pinned memory, waiting only for want of ``non_blocking``.

    Left to the rules that would remove the copy (PA101, PA102, PA103, PA208), and to PA207 where
    the line itself pins: there not pinning is the better advice.
    """
    copies = facts.audit.copies
    usable = facts.uploads() | facts.downloads()
    usable &= copies.pinned & copies.waits & ~copies.non_blocking
    usable &= ~facts.once(round_trips).uploads & ~facts.once(round_trips).downloads
    usable &= ~facts.once(duplicate_uploads).repeats & ~facts.once(host_created.explained)
    usable &= ~facts.once(host_indices) & ~facts.once(pins).uploads(facts)
    return usable


class BlockingPinned:
    """A copy from or to page-locked memory without ``non_blocking=True``.

    What it does
        Finds recurring copies whose host side is pinned, as the batches of a DataLoader with
        ``pin_memory=True`` are, and for which the host waits all the same, because it was not asked
        to go on.

    Why it costs
        Pinned memory is what lets a copy run while the host queues the next work.  Without
        ``non_blocking=True`` the host waits for the copy, and for what was queued before it.

    Example:
        ::

            loader = DataLoader(dataset, batch_size=256, pin_memory=True)
            for x, y in loader:
                x, y = x.to(device), y.to(device)

    Use instead
        ::

            loader = DataLoader(dataset, batch_size=256, pin_memory=True)
            for x, y in loader:
                x, y = x.to(device, non_blocking=True), y.to(device, non_blocking=True)

    When it is fine
        For a download whose values the host reads at once: it would have to wait anyhow (not
        reported).  A download that stays ``non_blocking`` must be waited for before it is read.
    """

    code = "PA203"
    name = "blocking-pinned"
    severity = Severity.WARNING

    def check(self, facts: Facts) -> Iterable[Finding]:
        """One finding for each site that waits for such a copy."""
        copies = facts.audit.copies
        usable = facts.once(blocking_pinned)
        for direction in (H2D, D2H):
            rows = np.flatnonzero(usable & (copies.direction == direction))
            for group in facts.groups(copies, rows):
                if recurs(facts, copies, group.rows):
                    read = self._read(facts, group) if direction == D2H else Reading.NEVER
                    if read is not Reading.HERE:
                        yield self._finding(facts, group, sure=read is Reading.NEVER)

    @staticmethod
    def _read(facts: Facts, group: Group) -> Reading:
        """Whether the host reads the downloaded values before the loop comes round."""
        call = facts.call(group.index)
        reading = reading_after(call).reading if call is not None else Reading.UNKNOWN
        if reading is Reading.UNKNOWN and _left_alone(facts, group):
            return Reading.NEVER
        return reading

    def _finding(self, facts: Facts, group: Group, *, sure: bool) -> Finding:
        audit, rows = facts.audit, group.rows
        copies = audit.copies
        recurrence = facts.recurrence(copies, rows)
        call = facts.call(group.index)
        text = f"`{call.text}`" if call else "this line"
        by = f" (by {library_name(group.site)})" if group.site.library else ""
        upload = int(copies.direction[rows[0]]) == H2D
        device = audit.text(int((copies.dst_device if upload else copies.src_device)[rows[0]]))
        what = f"uploads from pinned memory to {device}"
        if not upload:
            what = f"downloads from {device} into pinned memory"
        stray = recurrence.often and sure
        return finding(
            self,
            facts,
            copies,
            rows,
            severity=by_library(group.site, Severity.WARNING if stray else Severity.INFO),
            certainty=Certainty.PROVEN if sure else Certainty.LIKELY,
            message=(
                f"{text} {what} without `non_blocking=True` and makes the host wait, "
                f"{recurrence.words}{by}"
            ),
            fix=_fix(call, upload=upload),
            evidence=[
                Evidence(
                    "flags",
                    f"{len(rows)} copies with pinned host memory and without non_blocking",
                )
            ],
        )


def _left_alone(facts: Facts, group: Group) -> bool:
    """Whether the operation window saw nobody read what was downloaded before the next download.

    For what is kept where the source does not show its readers.
    """
    if not facts.lineage.complete:
        return False
    copies, operations = facts.audit.copies, facts.audit.operations
    rows = group.rows[np.argsort(copies.time_ns[group.rows], kind="stable")]
    following = dict(zip(rows[:-1].tolist(), copies.time_ns[rows[1:]].tolist(), strict=True))
    fates = [f for row, f in facts.lineage.fates.items() if row in following]
    return bool(fates) and all(
        not f.exports and all(operations.time_ns[read] >= following[f.copy] for read, _ in f.reads)
        for f in fates
    )


def _fix(call: CallSite | None, *, upload: bool) -> str:
    asked = "pass `non_blocking=True`"
    node = call.node if call else None
    func = node.func if isinstance(node, ast.Call) else None
    if isinstance(node, ast.Call) and isinstance(func, ast.Attribute) and func.attr in _CALLS:
        with_flag = copy.deepcopy(node)
        with_flag.keywords = [k for k in node.keywords if k.arg != "non_blocking"]
        with_flag.keywords.append(ast.keyword("non_blocking", ast.Constant(value=True)))
        asked = f"`{ast.unparse(with_flag)}`"
    if upload:
        return f"{asked}: the memory is pinned already, so the host can go on"
    return (
        f"{asked}, and wait (an event, `synchronize()`) before the host reads the values, a step "
        "later"
    )
