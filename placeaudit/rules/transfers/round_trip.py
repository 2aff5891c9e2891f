"""PA101: the same bytes down to the host and back to the device they came from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from placeaudit.analyze.audit import D2H, SmallInts
from placeaudit.model import Certainty, Evidence, Finding, HashKind, Severity
from placeaudit.rules.base import by_library, finding, library_name
from placeaudit.rules.facts import TINY_BYTES, Facts, Group, codes, latest_download, previous_same

__all__ = ["RoundTrip", "Trips", "round_trips"]


@dataclass(frozen=True, slots=True)
class Trips:
    """By copy: the download it brings back (-1: none), and whether storages prove it."""

    download: SmallInts
    same_storage: npt.NDArray[np.bool_]

    @property
    def uploads(self) -> npt.NDArray[np.bool_]:
        """Copies that bring a download back."""
        return self.download >= 0

    @property
    def downloads(self) -> npt.NDArray[np.bool_]:
        """Copies that were brought back."""
        out = np.zeros(len(self.download), dtype=np.bool_)
        out[self.download[self.download >= 0]] = True
        return out


def round_trips(facts: Facts) -> Trips:
    """Pairs each upload with the latest download of the same content from the same device.

    Below 64 bytes, for constants, and where the host had the content before the device did, equal
    bytes are no proof: there the upload must come from the very storage the download filled.
    """
    copies = facts.audit.copies
    download = np.full(len(copies), -1, dtype=np.int32)
    proven = np.zeros(len(copies), dtype=np.bool_)
    usable = (facts.uploads() | facts.downloads()) & (copies.content_hash != 0)
    rows = np.flatnonzero(usable).astype(np.int32)
    if not len(rows):
        return Trips(download, proven)
    down = copies.direction[rows] == D2H
    device = np.where(down, copies.src_device[rows], copies.dst_device[rows])
    code = codes(copies.content_hash[rows], copies.bytes[rows], device)
    for uploads, downloads, firsts in latest_download(code, down):
        up, source = rows[uploads], rows[downloads]
        same = copies.src_storage[up] == copies.dst_storage[source]
        same &= (copies.src_storage[up] >= 0) & (copies.process[up] == copies.process[source])
        # Content that first went up was the host's own; a later download of it is a coincidence.
        by_content = down[firsts] & (copies.bytes[up] >= TINY_BYTES) & ~facts.constant(up)
        by_content &= copies.hash_kind[up] == copies.hash_kind[source]
        keep = same | by_content
        download[up[keep]] = source[keep]
        proven[up[keep]] = same[keep]
    return Trips(download, proven)


class RoundTrip:
    """Bytes downloaded and uploaded back to the same device unchanged.

    What it does
        Finds uploads whose content is, byte for byte, what was downloaded from that device before.
        It is reported at the upload; the download is named with it.

    Why it costs
        Two copies over the host's link, and the download makes the host wait until the device has
        finished everything queued before it.

    Example:
        ::

            probs = logits.softmax(-1).cpu()
            loss = loss_fn(probs.to(device), target)

    Use instead
        ::

            probs = logits.softmax(-1)
            loss = loss_fn(probs, target)

    When it is fine
        When the host changes the values in between (then nothing is reported), when a checkpoint is
        saved and loaded (not reported), or when tensors are parked on the host on purpose to free
        device memory: silence that line.  What comes back two or more steps later, or rarely, is
        taken for such parking and is ``info``.
    """

    code = "PA101"
    name = "round-trip"
    severity = Severity.WARNING

    def check(self, facts: Facts) -> Iterable[Finding]:
        """One finding for each site that uploads what was downloaded."""
        copies = facts.audit.copies
        trips = facts.once(round_trips)
        rows = np.flatnonzero(trips.uploads)
        for group in facts.groups(copies, rows):
            if copies.steady[group.rows].any():
                yield self._finding(facts, group, trips)

    def _finding(self, facts: Facts, group: Group, trips: Trips) -> Finding:
        audit, copies = facts.audit, facts.audit.copies
        sources = trips.download[group.rows]
        recurrence = facts.recurrence(copies, group.rows)
        # What is brought up again and again is not parked, however old its download is.
        before = previous_same(codes(sources))
        since = np.where(before >= 0, group.rows[before], sources)
        gap = copies.step[group.rows] - copies.step[since]
        parked = len(audit.steps) > 1 and float(np.median(gap)) >= 2  # noqa: PLR2004
        stray = recurrence.often and not parked
        whole = bool((copies.hash_kind[group.rows] == int(HashKind.FULL)).all())
        same = bool(trips.same_storage[group.rows].all())
        related = []
        for index in np.unique(copies.site[sources]).tolist()[:3]:
            frame = audit.sites[index].frame
            if frame is not None:
                related.append(("downloaded here", frame))
        device = audit.text(int(copies.dst_device[group.rows[0]]))
        line = f" at line {related[0][1].line}" if related else ""
        call = facts.call(group.index)
        text = f"`{call.text}`" if call else "this line"
        by = f" (by {library_name(group.site)})" if group.site.library else ""
        if parked:
            fix = (
                f"keep the tensor on {device} if memory allows; if it is parked on the host on "
                "purpose, silence this line"
            )
        else:
            fix = f"keep the tensor on {device}: drop the download{line} and this upload"
        return finding(
            self,
            facts,
            copies,
            group.rows,
            severity=by_library(group.site, Severity.WARNING if stray else Severity.INFO),
            certainty=Certainty.PROVEN if same or whole else Certainty.LIKELY,
            message=(
                f"{text} uploads to {device} what was downloaded from it{line}, unchanged, "
                f"{recurrence.words}{by}"
            ),
            fix=fix,
            related=related,
            also=np.unique(sources),
            evidence=[
                Evidence(
                    "content-hash",
                    f"the {'whole' if whole else 'sampled'} content of all {len(group.rows)} "
                    "uploads equals that of the download before",
                ),
                *(
                    [Evidence("storage", "it is the very storage that the download filled")]
                    if same
                    else []
                ),
            ],
        )
