"""PA103: made on the host only to be uploaded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from placeaudit.analyze.callsite import CallSite, call_site
from placeaudit.analyze.columns import distinct
from placeaudit.analyze.host_arrays import origin_of_array
from placeaudit.analyze.origins import Made, Origin, made_at, on_device, origin_of_upload
from placeaudit.analyze.sites import is_data
from placeaudit.model import Certainty, Evidence, Finding, Phase, Severity
from placeaudit.rules.base import finding
from placeaudit.rules.facts import TINY_BYTES, Facts, Group, Rows
from placeaudit.rules.transfers.round_trip import round_trips

__all__ = ["HostCreated", "HostMade", "host_created"]

#: What writing a number into a slice comes down to.
_FILLS: Final = frozenset({"fill_", "zero_"})


@dataclass(frozen=True, slots=True)
class HostMade:
    """Uploads of one site whose source a host factory made for nothing else."""

    group: Group
    origin: Origin
    #: Device as the line writes it, "" where it names none.
    device: str
    #: The factory call recorded in another function, where it is one.
    birth: CallSite | None
    births: int


def host_created(facts: Facts) -> tuple[HostMade, ...]:
    """Sites of host-created uploads."""
    copies = facts.audit.copies
    usable = facts.uploads() & ~facts.once(round_trips).uploads
    usable &= copies.phase != int(Phase.LOADING)
    found = []
    for group in facts.groups(copies, np.flatnonzero(usable)):
        made = _judge(facts, group)
        if made is not None:
            found.append(made)
    return tuple(found)


def explained(facts: Facts) -> npt.NDArray[np.bool_]:
    """By copy: whether PA103 explains it."""
    out = np.zeros(len(facts.audit.copies), dtype=np.bool_)
    for made in facts.once(host_created):
        out[made.group.rows] = True
    return out


def _judge(facts: Facts, group: Group) -> HostMade | None:  # noqa: PLR0911 (each a reason)
    user = group.site.user
    if user is None or group.site.library is not None or is_data([user]):
        return None
    if facts.framework == "tensorflow":
        return _judge_array(facts, group)
    born = _born_for_upload(facts, group.rows)
    call = facts.call(group.index)
    origin, device = origin_of_upload(call) if call else (Origin(Made.UNKNOWN), "")
    if origin.made is Made.FACTORY:
        if origin.filled and not _fills_slices(facts, group):
            return None
        return HostMade(group, origin, device, None, len(born))
    if origin.made is Made.DATA or len(born) < len(group.rows):
        return None
    births = facts.audit.births
    birth_sites = np.unique(births.site[facts.audit.copies.src_birth[group.rows]])
    site = facts.audit.sites[int(birth_sites[0])]
    if len(birth_sites) > 1 or site.user is None or site.library is not None:
        return None
    birth = call_site(facts.sources, site.user)
    if birth is None:
        return None
    made = made_at(birth)
    if made.made is not Made.FACTORY:
        return None
    return HostMade(group, made, device, birth, len(born))


def _judge_array(facts: Facts, group: Group) -> HostMade | None:
    """TensorFlow's uploads are of arrays: nobody sees them made, so the source must say all."""
    call = facts.call(group.index)
    origin = origin_of_array(call) if call is not None else None
    if origin is None or origin.made is not Made.FACTORY or origin.filled:
        return None
    copies, rows = facts.audit.copies, group.rows
    if not origin.exact:
        # An operation that takes the array may upload numbers of its own beside it.
        rows = rows[copies.bytes[rows] > TINY_BYTES]
        if len(distinct(copies.shape[rows])) != 1:
            return None
    return HostMade(Group(group.index, group.site, rows), origin, "", None, 0)


def _fills_slices(facts: Facts, group: Group) -> bool:
    """Whether, in the window, numbers were written into slices: an index would be data."""
    audit, lineage = facts.audit, facts.lineage
    operations = audit.operations
    mine = [i for i in lineage.uploads if audit.copies.site[operations.copy[i]] == group.index]
    for upload in mine:
        memory, _ = lineage.source(upload)
        made = lineage.maker(memory, upload)
        if made is None:
            return False
        for operation, _ in lineage.written(memory, made.operation, upload):
            if audit.text(int(operations.name[operation])) not in _FILLS:
                return False
    return bool(mine)


def _born_for_upload(facts: Facts, rows: Rows) -> Rows:
    """Uploads whose source a recorded factory made in the same step, unwritten, for one upload."""
    copies, births = facts.audit.copies, facts.audit.births
    mine = rows[copies.src_birth[rows] >= 0]
    birth = copies.src_birth[mine]
    uploads = np.bincount(
        copies.src_birth[copies.src_birth >= 0], minlength=max(1, len(births.time_ns))
    )
    good = (births.step[birth] == copies.step[mine]) & (copies.src_version[mine] <= 0)
    return np.asarray(mine[good & (uploads[birth] == 1)])


def _making_s(facts: Facts, rows: Rows) -> float:
    """Seconds from the factory calls to their uploads: what the host spends on making, at most."""
    copies, births = facts.audit.copies, facts.audit.births
    born = rows[copies.src_birth[rows] >= 0]
    born = born[births.step[copies.src_birth[born]] == copies.step[born]]
    since = copies.time_ns[born] - births.time_ns[copies.src_birth[born]]
    return float(np.maximum(since, 0).sum()) / 1e9


class HostCreated:
    """A tensor made by a host factory only to be uploaded.

    What it does
        Finds uploads whose source is ``torch.zeros ones full empty arange linspace eye rand randn
        randint randperm`` or ``torch.tensor`` of literal numbers, perhaps with host operations in
        between, made in the same step and used by the host for nothing else.

    Why it costs
        The host fills memory, then waits while it is copied, since fresh host memory is pageable.
        The device would fill its own memory in a few microseconds without anybody waiting.

    Example:
        ::

            noise = torch.randn(batch, latent).to(device)

    Use instead
        ::

            noise = torch.randn(batch, latent, device=device)

    When it is fine
        Outside the training loop; inside a Dataset or a loader; when the host also uses the tensor
        (none of these is reported).  Random factories draw from the device's generator once they
        run there, so the random stream changes: keep the host's where runs must repeat exactly.
    """

    code = "PA103"
    name = "host-created"
    severity = Severity.WARNING

    def check(self, facts: Facts) -> Iterable[Finding]:
        """One finding for each site that uploads what it made."""
        copies = facts.audit.copies
        for made in facts.once(host_created):
            if copies.steady[made.group.rows].any():
                yield self._finding(facts, made)

    def _finding(self, facts: Facts, made: HostMade) -> Finding:
        audit, rows, origin = facts.audit, made.group.rows, made.origin
        copies = audit.copies
        recurrence = facts.recurrence(copies, rows)
        device = audit.text(int(copies.dst_device[rows[0]]))
        written = made.device or f'"{device}"'
        evidence = []
        related = []
        if made.birth is None:
            evidence.append(
                Evidence("expression", f"`{origin.factory}` is in the uploading function itself")
            )
        else:
            frame = audit.sites[int(audit.births.site[copies.src_birth[rows[0]]])].user
            if frame is not None:
                related.append(("made here", frame))
        if made.births:
            evidence.append(
                Evidence(
                    "birth",
                    f"{made.births} of {len(rows)} uploads are of a storage that the factory made "
                    "in the same step for this one upload",
                )
            )
        sure = origin.exact and made.birth is None
        return finding(
            self,
            facts,
            copies,
            rows,
            severity=Severity.WARNING if recurrence.often else Severity.INFO,
            certainty=Certainty.PROVEN if sure else Certainty.LIKELY,
            message=(
                f"{origin.factory} makes a tensor on the host only to upload it to {device}, "
                f"{recurrence.words}"
            ),
            fix=_fix(origin, written),
            related=related,
            evidence=evidence,
            host_s=_making_s(facts, rows),
        )


def _fix(origin: Origin, device: str) -> str:
    if origin.constant:
        return (
            f"the numbers never change: make the tensor once before the loop, "
            f"`{on_device(origin, device)}`, and use it again"
        )
    where = f" at line {origin.node.lineno}" if origin.node else ""
    text = f"create it on the device{where}: `{on_device(origin, device)}`"
    if origin.random:
        text += (
            " (the device has a generator of its own: the random stream changes, so seeded runs "
            "give other numbers)"
        )
    return text
