"""PA108: the same bytes from one device over the host to another."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from placeaudit.analyze.audit import D2H, Audit, SmallInts
from placeaudit.analyze.callsite import upload_at
from placeaudit.model import Certainty, Evidence, Finding, HashKind, Severity
from placeaudit.rules.base import by_library, finding, library_name
from placeaudit.rules.facts import TINY_BYTES, Facts, Group, codes, latest_download
from placeaudit.rules.transfers.round_trip import round_trips

__all__ = ["HostBounce", "by_dlpack", "downloads", "host_bounces"]


def host_bounces(facts: Facts) -> SmallInts:
    """By copy: the download from another device that this upload passes on, -1 where none.

    The evidence is that of a round trip: equal whole bytes that the device had before the host did,
    or the very storage that the download filled, unwritten.  What goes back to the device it came
    from is a round trip (PA101), not a bounce.
    """
    copies = facts.audit.copies
    out = np.full(len(copies), -1, dtype=np.int32)
    if len(facts.audit.meta.devices) < 2:  # noqa: PLR2004 (a bounce needs two)
        return out
    trips = facts.once(round_trips)
    usable = (facts.uploads() & ~trips.uploads) | facts.downloads()
    rows = np.flatnonzero(usable & (copies.content_hash != 0)).astype(np.int32)
    down = copies.direction[rows] == D2H
    code = codes(copies.content_hash[rows], copies.bytes[rows], copies.process[rows])
    for uploads, sources, firsts in latest_download(code, down):
        up, source = rows[uploads], rows[sources]
        other = copies.dst_device[up] != copies.src_device[source]
        same = copies.src_storage[up] == copies.dst_storage[source]
        same &= copies.src_storage[up] >= 0
        by_content = down[firsts] & (copies.bytes[up] >= TINY_BYTES) & ~facts.constant(up)
        by_content &= copies.hash_kind[up] == copies.hash_kind[source]
        keep = other & (same | by_content)
        out[up[keep]] = source[keep]
    return out


def downloads(facts: Facts) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """By copy: whether it is the download of a bounce."""
    found = facts.once(host_bounces)
    out = np.zeros(len(found), dtype=np.bool_)
    out[found[found >= 0]] = True
    return out


class HostBounce:
    """Bytes that travel from one device over the host to another one, unchanged.

    What it does
        Finds uploads whose content is, byte for byte, what was downloaded from another device
        before.  It is reported at the upload; the download is named with it.

    Why it costs
        Two copies over the host's links and a wait for the first of them, instead of one copy
        between the devices that the host only queues.

    Example:
        ::

            hidden = first(x).cpu()
            out = second(hidden.to("cuda:1"))

    Use instead
        ::

            hidden = first(x)
            out = second(hidden.to("cuda:1", non_blocking=True))

    When it is fine
        When the host changes the values in between (then nothing is reported).  Devices without
        peer access to each other exchange bytes through the host in any case; the driver then does
        the staging, and the host still need not wait.
    """

    code = "PA108"
    name = "host-bounce"
    severity = Severity.WARNING

    def check(self, facts: Facts) -> Iterable[Finding]:
        """One finding for each site that uploads what another device gave."""
        copies = facts.audit.copies
        source = facts.once(host_bounces)
        for group in facts.groups(copies, np.flatnonzero(source >= 0)):
            if copies.steady[group.rows].any():
                yield self._finding(facts, group, source[group.rows])

    def _finding(self, facts: Facts, group: Group, source: SmallInts) -> Finding:
        audit, copies = facts.audit, facts.audit.copies
        recurrence = facts.recurrence(copies, group.rows)
        whole = bool((copies.hash_kind[group.rows] == int(HashKind.FULL)).all())
        same = bool((copies.src_storage[group.rows] == copies.dst_storage[source]).all())
        frames = [audit.sites[i].frame for i in np.unique(copies.site[source]).tolist()[:3]]
        related = [("downloaded here", frame) for frame in frames if frame is not None]
        line = f" at line {related[0][1].line}" if related else ""
        first = audit.text(int(copies.src_device[source[0]]))
        last = audit.text(int(copies.dst_device[group.rows[0]]))
        call = facts.call(group.index)
        upload = upload_at(call) if call else None
        text = f"`{call.text}`" if call else "this line"
        by = f" (by {library_name(group.site)})" if group.site.library else ""
        backward = bool((copies.backward[group.rows] != 0).all())
        if backward:
            text = f"the backward of {text}"
        return finding(
            self,
            facts,
            copies,
            group.rows,
            severity=by_library(
                group.site, Severity.WARNING if recurrence.often else Severity.INFO
            ),
            certainty=Certainty.PROVEN if whole or same else Certainty.LIKELY,
            message=(
                f"{text} uploads to {last} what was downloaded from {first}{line}, unchanged, "
                f"{recurrence.words}{by}"
            ),
            fix=_fix(upload.device if upload else "", first, last, line, backward=backward),
            related=related,
            also=np.unique(source),
            evidence=[
                Evidence(
                    "content-hash",
                    f"the {'whole' if whole else 'sampled'} content of all {len(group.rows)} "
                    f"uploads equals that of the download from {first} before",
                ),
                *(
                    [Evidence("storage", "it is the very storage that the download filled")]
                    if same
                    else []
                ),
                Evidence("peer-access", _peer(audit, first, last)),
            ],
        )


def by_dlpack(first: str, last: str, line: str) -> str:
    """What to do where one framework hands its tensor to the other, "" where one has both."""
    if first.startswith("GPU:") == last.startswith("GPU:"):
        return ""
    take = (
        "torch.utils.dlpack.from_dlpack(tf.experimental.dlpack.to_dlpack(…))"
        if first.startswith("GPU:")
        else "tf.experimental.dlpack.from_dlpack(torch.utils.dlpack.to_dlpack(…))"
    )
    return (
        f"hand the tensor over on the device, by DLPack: `{take}` instead of the download{line}; "
        "on one GPU that copies nothing"
    )


def _fix(device: str, first: str, last: str, line: str, *, backward: bool) -> str:
    handed = by_dlpack(first, last, line)
    if handed:
        return handed
    if backward:
        return (
            "copy from device to device in forward, without the host in between: the gradient then "
            "takes the same way back"
        )
    to = device or f'"{last}"'
    return (
        f"copy from device to device: drop the download{line} and call "
        f"`.to({to}, non_blocking=True)` on the tensor of {first}"
    )


def _peer(audit: Audit, first: str, last: str) -> str:
    """What is known of a direct way between the two devices."""
    known = audit.meta.peers.get((first, last))
    if known:
        return f"{last} reaches the memory of {first} directly"
    if known is None:
        return (
            f"whether {last} reaches the memory of {first} directly is not known; where it does "
            "not, the driver stages the copy through the host, and the program need not wait"
        )
    return (
        f"{last} does not reach the memory of {first} directly: the driver stages the copy through "
        "the host, so that the bytes cross twice all the same, but the program need not wait"
    )
