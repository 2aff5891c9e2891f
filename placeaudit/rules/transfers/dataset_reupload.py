"""PA110: a whole data set uploaded again in each epoch, although the device could keep it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from placeaudit.analyze.audit import Audit, Copies
from placeaudit.model import Certainty, Evidence, Finding, HashKind, Severity
from placeaudit.rules.base import finding, plural, size_words
from placeaudit.rules.facts import TINY_BYTES, Facts, Group, Rows
from placeaudit.rules.transfers import host_created
from placeaudit.rules.transfers.duplicate_upload import duplicate_uploads
from placeaudit.rules.transfers.host_bounce import host_bounces
from placeaudit.rules.transfers.round_trip import round_trips
from placeaudit.rules.waits.host_index import host_indices

__all__ = ["DatasetReupload"]

#: One content again and again is PA102's.
_LEAST_CONTENTS: Final = 2
#: Of a device's memory, for the data set and what was seen to live there already.
_SHARE: Final = 0.5


@dataclass(frozen=True, slots=True)
class Period:
    """Uploads of one site that repeat the same contents, pass after pass."""

    group: Group
    #: Uploads of one pass, and their bytes.
    length: int
    bytes: int

    @property
    def again(self) -> Rows:
        """The uploads after the first pass."""
        return self.group.rows[self.length :]

    @property
    def passes(self) -> int:
        """Passes, the last one perhaps cut short."""
        return -(-len(self.group.rows) // self.length)


class DatasetReupload:
    """The whole data set uploaded again in each epoch, although it would fit on the device.

    What it does
        Finds lines whose uploads repeat, pass after pass, exactly the same contents, two at least,
        each once a pass, for at least two whole passes, where all contents of one pass together
        with what is known to live on the device take at most half of its memory.

    Why it costs
        After the first pass every upload brings what the device has already had.  Kept there, the
        batches cost no copy and no wait at all.

    Example:
        ::

            for epoch in range(epochs):
                for x, y in batches:
                    x, y = x.to(device), y.to(device)

    Use instead
        ::

            batches = [(x.to(device), y.to(device)) for x, y in batches]
            for epoch in range(epochs):
                for x, y in batches:
                    ...

    When it is fine
        When the data are shuffled or augmented, contents differ (nothing is reported).  When the
        memory is needed for larger batches or a larger model.
    """

    code = "PA110"
    name = "dataset-reupload"
    severity = Severity.INFO

    def check(self, facts: Facts) -> Iterable[Finding]:
        """One finding for the lines of a function that upload the same data set together."""
        copies = facts.audit.copies
        usable = facts.uploads() & (copies.content_hash != 0)
        usable &= ~facts.once(round_trips).uploads & ~facts.once(host_created.explained)
        usable &= ~facts.once(duplicate_uploads).repeats & (facts.once(host_bounces) < 0)
        usable &= ~facts.once(host_indices)
        together: dict[tuple[str, str, int, int], list[Period]] = {}
        for group in facts.groups(copies, np.flatnonzero(usable)):
            found = _period(copies, group)
            frame = group.site.frame
            if found is not None and frame is not None:
                device = int(copies.dst_device[group.rows[0]])
                key = frame.file, frame.function, found.length, device
                together.setdefault(key, []).append(found)
        for periods in together.values():
            # Small batches, of labels for one, come again by chance.
            large = any(period.bytes > TINY_BYTES * period.length for period in periods)
            if large and _fits(facts.audit, periods):
                yield self._finding(facts, periods)

    def _finding(self, facts: Facts, periods: list[Period]) -> Finding:
        audit, copies = facts.audit, facts.audit.copies
        periods.sort(key=lambda period: -period.bytes)
        first = periods[0]
        # The finding stands at the line with most bytes: its rows come first.
        rows = np.concatenate([period.again for period in periods])
        total = sum(period.bytes for period in periods)
        device = audit.text(int(copies.dst_device[rows[0]]))
        whole = bool((copies.hash_kind[rows] == int(HashKind.FULL)).all())
        others = [period.group.site.frame for period in periods[1:]]
        call = facts.call(first.group.index)
        text = f"`{call.text}`" if call else "this line"
        memory = audit.meta.memory_bytes[device]
        return finding(
            self,
            facts,
            copies,
            rows,
            severity=Severity.INFO,
            certainty=Certainty.PROVEN if whole else Certainty.LIKELY,
            message=(
                f"{text} uploads the same {plural(first.length, 'batch', 'batches')} to {device} "
                f"in each of {plural(first.passes, 'pass', 'passes')}; the data set takes "
                f"{size_words(total)} of its {size_words(memory)}"
            ),
            fix=(
                f"upload the {plural(first.length, 'batch', 'batches')} once, before the first "
                f"pass, and keep them on {device}; shuffle there by indexing with "
                f"`torch.randperm(n, device=…)`"
            ),
            related=[("uploads here too", frame) for frame in others if frame is not None],
            evidence=[
                Evidence(
                    "content-period",
                    f"{len(rows)} uploads repeat the contents of the first pass "
                    f"({'whole' if whole else 'sampled'} content compared)",
                ),
                Evidence(
                    "device-memory",
                    f"{size_words(total)} and {size_words(_resident(audit, device))} seen to live "
                    f"there already, of {size_words(memory)} "
                    f"({'of the hardware model' if audit.meta.simulated else 'of the device'})",
                ),
            ],
        )


def _period(copies: Copies, group: Group) -> Period | None:
    """The pass that the uploads of one site repeat; None where they repeat none."""
    rows = group.rows
    device = copies.dst_device[rows]
    if not (device == device[0]).all():
        return None
    content = copies.content_hash[rows]
    if not (content[1:] == content[0]).any():
        return None
    found, first, code = np.unique(
        copies.content_hash[rows], return_index=True, return_inverse=True
    )
    length = len(found)
    if length < _LEAST_CONTENTS or len(rows) < 2 * length:
        return None
    # Every pass holds every content once, in whatever order.
    place = np.arange(len(rows)) // length
    if len(np.unique(place * length + code)) != len(rows):
        return None
    return Period(group, length, int(copies.bytes[rows[first]].sum()))


def _resident(audit: Audit, device: str) -> int:
    """Bytes of the parameters, buffers and optimizer state last seen on ``device``."""
    placements = audit.placements
    kinds = ("parameter", "buffer", "optimizer-state", "gradient")
    known = [i for i, text in enumerate(audit.strings) if text in kinds]
    rows = np.flatnonzero(np.isin(placements.kind, known))
    latest = {
        (int(placements.kind[i]), int(placements.owner[i]), int(placements.name[i])): i
        for i in rows.tolist()
    }
    return sum(
        max(0, int(placements.bytes[i]))
        for i in latest.values()
        if audit.text(int(placements.device[i])) == device
    )


def _fits(audit: Audit, periods: list[Period]) -> bool:
    """Whether the data set is known to fit beside what lives on the device."""
    device = audit.text(int(audit.copies.dst_device[periods[0].group.rows[0]]))
    memory = audit.meta.memory_bytes.get(device, 0)
    total = sum(period.bytes for period in periods)
    return total + _resident(audit, device) <= _SHARE * memory
