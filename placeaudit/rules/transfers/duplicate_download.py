"""PA109: the same device content downloaded again."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from placeaudit.analyze.audit import SmallInts
from placeaudit.model import Certainty, Evidence, Finding, HashKind, Severity
from placeaudit.rules.base import by_library, finding, library_name
from placeaudit.rules.facts import TINY_BYTES, Facts, Group, codes, previous_same
from placeaudit.rules.transfers.round_trip import round_trips

__all__ = ["DuplicateDownload", "duplicate_downloads"]


def duplicate_downloads(facts: Facts) -> SmallInts:
    """By copy: the earlier download of the same content it repeats, -1 where none.

    The version counter alone proves nothing (fused optimizers and collectives do not raise it), and
    views of one storage share it: storage, version, shape and bytes must all agree.  At most 64
    bytes are left to PA201, and constants are no proof.
    """
    copies = facts.audit.copies
    out = np.full(len(copies), -1, dtype=np.int32)
    usable = facts.downloads() & (copies.content_hash != 0) & (copies.bytes > TINY_BYTES)
    usable &= (copies.src_storage >= 0) & (copies.src_version >= 0)
    usable &= ~facts.once(round_trips).downloads
    rows = np.flatnonzero(usable)
    if not len(rows):
        return out
    rows = rows[~facts.constant(rows)]
    if not len(rows):
        return out
    code = codes(
        copies.src_storage[rows],
        copies.src_version[rows],
        copies.content_hash[rows],
        copies.bytes[rows],
        copies.shape[rows],
    )
    before = previous_same(code)
    out[rows[before >= 0]] = rows[before[before >= 0]]
    return out


class DuplicateDownload:
    """The same device content downloaded again.

    What it does
        Finds downloads of a device tensor that was downloaded before and not written since: same
        storage, same version, same bytes.  It is reported at the later download, the earlier one is
        named with it.

    Why it costs
        Each download makes the host wait until the device has finished what was queued before.

    Example:
        ::

            predictions.append(out.cpu())
            top = out.cpu().argmax(-1)

    Use instead
        ::

            host = out.cpu()
            predictions.append(host)
            top = host.argmax(-1)

    When it is fine
        When the tensor was written in between (not reported).  Reads of single values are PA201's.
    """

    code = "PA109"
    name = "duplicate-download"
    severity = Severity.WARNING

    def check(self, facts: Facts) -> Iterable[Finding]:
        """One finding for each site that repeats a download."""
        copies = facts.audit.copies
        earlier = facts.once(duplicate_downloads)
        for group in facts.groups(copies, np.flatnonzero(earlier >= 0)):
            if copies.steady[group.rows].any():
                yield self._finding(facts, group, earlier)

    def _finding(self, facts: Facts, group: Group, earlier: SmallInts) -> Finding:
        audit, rows = facts.audit, group.rows
        copies = audit.copies
        recurrence = facts.recurrence(copies, rows)
        others = np.unique(copies.site[earlier[rows]])
        frames = [audit.sites[i].frame for i in others.tolist() if i != group.index]
        related = [("downloaded here first", frame) for frame in frames[:3] if frame is not None]
        whole = bool((copies.hash_kind[rows] == int(HashKind.FULL)).all())
        device = audit.text(int(copies.src_device[rows[0]]))
        call = facts.call(group.index)
        text = f"`{call.text}`" if call else "this line"
        line = f" at line {related[0][1].line}" if related else " by this line"
        by = f" (by {library_name(group.site)})" if group.site.library else ""
        return finding(
            self,
            facts,
            copies,
            rows,
            severity=by_library(
                group.site, Severity.WARNING if recurrence.often else Severity.INFO
            ),
            certainty=Certainty.PROVEN if whole else Certainty.LIKELY,
            message=(
                f"{text} downloads from {device} what was downloaded already{line} and not "
                f"written since, {recurrence.words}{by}"
            ),
            fix=(
                f"keep the host tensor of the download{line} and use it here"
                if related
                else "download it once and keep the host tensor until the device tensor changes"
            ),
            related=related,
            evidence=[
                Evidence("storage", "same storage and version counter on the device"),
                Evidence(
                    "content-hash", f"the {'whole' if whole else 'sampled'} content is the same"
                ),
            ],
        )
