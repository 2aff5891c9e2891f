"""PA102: the same content uploaded again."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from placeaudit.analyze.audit import Ints, SmallInts
from placeaudit.analyze.callsite import upload_at
from placeaudit.model import Certainty, Evidence, Finding, HashKind, Severity
from placeaudit.rules.base import by_library, finding, library_name, plural
from placeaudit.rules.facts import TINY_BYTES, Facts, Group, Rows, codes, previous_same
from placeaudit.rules.transfers import host_created
from placeaudit.rules.transfers.round_trip import round_trips
from placeaudit.rules.waits.host_index import host_indices

__all__ = ["DuplicateUpload", "Duplicates", "duplicate_uploads"]

#: Repeats among the uploads of a line: fewer come of drawing from what is not much.
_LEAST_SHARE: Final = 0.2


@dataclass(frozen=True, slots=True)
class Duplicates:
    """By copy: whether it repeats an upload, and whether the very same storage was uploaded."""

    repeats: npt.NDArray[np.bool_]
    same_storage: npt.NDArray[np.bool_]


def duplicate_uploads(facts: Facts) -> Duplicates:
    """Uploads whose site just before, or in the step before, uploaded the same content.

    Content that comes back after other contents and more than a step later is a data set's next
    pass, not a duplicate.
    """
    copies = facts.audit.copies
    repeats = np.zeros(len(copies), dtype=np.bool_)
    same_storage = np.zeros(len(copies), dtype=np.bool_)
    usable = facts.uploads() & (copies.content_hash != 0)
    usable &= ~facts.once(round_trips).uploads & ~facts.once(host_created.explained)
    usable &= ~facts.once(host_indices)
    rows = np.flatnonzero(usable)
    if not len(rows):
        return Duplicates(repeats, same_storage)
    stream = codes(
        copies.site[rows], copies.dst_device[rows], copies.shape[rows], copies.dst_dtype[rows]
    )
    code = codes(stream, copies.bytes[rows], copies.content_hash[rows])
    before = previous_same(code)
    again = np.flatnonzero(before >= 0)
    prior = before[again]
    up, first = rows[again], rows[prior]
    same = copies.src_storage[up] == copies.src_storage[first]
    same &= (copies.src_version[up] == copies.src_version[first]) & (copies.src_version[up] >= 0)
    same &= ~_slices(facts, rows)[again]
    proof = same | ((copies.bytes[up] >= TINY_BYTES) & ~facts.constant(up))
    adjacent = previous_same(stream)[again] == prior
    if len(facts.audit.steps) > 1:
        adjacent |= copies.step[up] - copies.step[first] <= 1
    keep = proof & adjacent & ~_drawn(stream, copies.step[rows], again, proof & adjacent)
    repeats[up[keep]] = True
    same_storage[up[keep]] = same[keep]
    return Duplicates(repeats, same_storage)


def _drawn(
    stream: Ints, step: SmallInts, again: Rows, found: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """Which repeats are few among several uploads a step: samples that were drawn twice."""
    known, code, count = np.unique(stream, return_inverse=True, return_counts=True)
    _, first = np.unique(codes(stream, step), return_index=True)
    steps = np.bincount(code[first], minlength=len(known))
    repeated = np.bincount(code[again[found]], minlength=len(known))
    few = (repeated < _LEAST_SHARE * count) & (count >= 2 * steps)
    return np.asarray(few[code[again]])


def _slices(facts: Facts, rows: Rows) -> npt.NDArray[np.bool_]:
    """Which of these small or constant uploads came from a storage that sent other contents, too.

    Parts of one batch share its storage and version, and small parts are equal by chance.
    """
    copies = facts.audit.copies
    small = np.flatnonzero((copies.bytes[rows] < TINY_BYTES) | facts.constant(rows))
    mine = rows[small]
    key = codes(
        copies.site[mine], copies.src_storage[mine], copies.src_version[mine], copies.process[mine]
    )
    _, first = np.unique(codes(key, copies.content_hash[mine]), return_index=True)
    known, contents = np.unique(key[first], return_counts=True)
    out = np.zeros(len(rows), dtype=np.bool_)
    out[small] = np.isin(key, known[contents > 1])
    return out


class DuplicateUpload:
    """The same content uploaded again to a device that already received it from this line.

    What it does
        Finds uploads whose bytes equal those that the same line uploaded to the same device just
        before or in the step before.  Below 64 bytes, and for all zeros or ones, equal bytes are
        coincidence: there it asks for the same storage, unwritten since.

    Why it costs
        The link and the host are busy with what the device already has, and a pageable upload makes
        the host wait.

    Example:
        ::

            for x in loader:
                out = model(x.to(device), mask.to(device))

    Use instead
        ::

            mask = mask.to(device)
            for x in loader:
                out = model(x.to(device), mask)

    When it is fine
        A data set that is uploaded again each pass is not reported here, nor are equal shapes.
        Where device memory is too small to keep the tensor, silence the line.
    """

    code = "PA102"
    name = "duplicate-upload"
    severity = Severity.WARNING

    def check(self, facts: Facts) -> Iterable[Finding]:
        """One finding for each site that repeats uploads."""
        copies = facts.audit.copies
        duplicates = facts.once(duplicate_uploads)
        least = 2 if len(facts.audit.steps) > 1 else 1
        # Imported here: what PA307 explains is chosen among these very duplicates.
        from placeaudit.rules.placement.lost_placement import lost_placements

        mine = duplicates.repeats & ~facts.once(lost_placements)
        for group in facts.groups(copies, np.flatnonzero(mine)):
            if int(copies.steady[group.rows].sum()) >= least:
                yield self._finding(facts, group, duplicates)

    def _finding(self, facts: Facts, group: Group, duplicates: Duplicates) -> Finding:
        audit, rows = facts.audit, group.rows
        copies = audit.copies
        recurrence = facts.recurrence(copies, rows)
        same = bool(duplicates.same_storage[rows].all())
        whole = bool((copies.hash_kind[rows] == int(HashKind.FULL)).all())
        contents = len(np.unique(copies.content_hash[rows]))
        device = audit.text(int(copies.dst_device[rows[0]]))
        what = _subject(facts, group)
        by = f" (by {library_name(group.site)})" if group.site.library else ""
        return finding(
            self,
            facts,
            copies,
            rows,
            severity=by_library(
                group.site, Severity.WARNING if recurrence.often else Severity.INFO
            ),
            certainty=Certainty.PROVEN if same or whole else Certainty.LIKELY,
            message=(
                f"{what or 'the same content'} is uploaded to {device} again, unchanged since "
                f"it was last, {recurrence.words}{by}"
            ),
            fix=_fix(facts, group, device),
            evidence=_evidence(rows, contents, same=same, whole=whole),
        )


def _evidence(rows: Rows, contents: int, *, same: bool, whole: bool) -> list[Evidence]:
    found = [
        Evidence(
            "content-hash",
            f"{plural(len(rows), 'upload')} repeated {plural(contents, 'content')} "
            f"({'whole' if whole else 'sampled'} content compared)",
        )
    ]
    if same:
        found.append(Evidence("storage", "it is one storage, not written to in between"))
    return found


def _subject(facts: Facts, group: Group) -> str:
    call = facts.call(group.index)
    upload = upload_at(call) if call else None
    return f"`{call.file.quote(upload.subject)}`" if call and upload else ""


def _fix(facts: Facts, group: Group, device: str) -> str:
    call = facts.call(group.index)
    upload = upload_at(call) if call else None
    if call is None or upload is None:
        return f"upload it once, before the loop, and keep the tensor on {device}"
    subject = call.file.quote(upload.subject)
    to = upload.device or f'"{device}"'
    if isinstance(upload.subject, ast.Name | ast.Attribute):
        if subject.startswith("self."):
            name = subject.removeprefix("self.")
            return (
                f'make it a buffer, `self.register_buffer("{name}", …, persistent=False)`: it then '
                "moves with the module once"
            )
        return f"upload it once, before the loop: `{subject} = {subject}.to({to})`"
    return f"upload `{subject}` once, before the loop, and keep the result on the device"
