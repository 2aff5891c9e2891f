"""PA109: the same device content downloaded again."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import Final

import numpy as np
import numpy.typing as npt

from placeaudit.analyze.audit import SmallInts
from placeaudit.analyze.callsite import CallSite
from placeaudit.model import Certainty, Evidence, Finding, HashKind, Severity
from placeaudit.rules.base import by_library, finding, library_name
from placeaudit.rules.facts import TINY_BYTES, Facts, Group, codes, previous_same
from placeaudit.rules.transfers.round_trip import round_trips

__all__ = ["DuplicateDownload", "duplicate_downloads"]

#: Calls that read the tensor they are called on, or hand it on as it is.
_READS: Final = frozenset({"item", "tolist", "cpu", "detach"})
_NUMBERS: Final = frozenset({"float", "int", "bool"})


def duplicate_downloads(facts: Facts) -> SmallInts:
    """By copy: the earlier download of the same content it repeats, -1 where none.

    The version counter alone proves nothing (fused optimizers and collectives do not raise it), and
    views of one storage share it: storage, version, shape and bytes must all agree, and constants
    are no proof.  For at most 64 bytes see ``_repeated_values``.
    """
    copies = facts.audit.copies
    out = np.full(len(copies), -1, dtype=np.int32)
    usable = facts.downloads() & (copies.content_hash != 0) & (copies.bytes > TINY_BYTES)
    usable &= (copies.src_storage >= 0) & (copies.src_version >= 0)
    usable &= ~facts.once(round_trips).downloads
    _repeated_values(facts, out)
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


def _repeated_values(facts: Facts, out: SmallInts) -> None:
    """Single values that two lines of one function read from the same name, in the same turn.

    An optimizer may step in between.

    Small values are equal by chance, and neighbours in one storage share its version: here the
    source must say that it is the same tensor.
    """
    copies = facts.audit.copies
    usable = facts.downloads() & (copies.bytes <= TINY_BYTES) & (copies.backward == 0)
    usable &= (copies.src_storage >= 0) & (copies.src_version >= 0)
    subjects: dict[tuple[str, str, str], int] = {}
    key = np.zeros(len(copies), dtype=np.int32)
    for group in facts.groups(copies, np.flatnonzero(usable)):
        call, user = facts.call(group.index), group.site.user
        subject = _subject(call) if call is not None else ""
        if user is not None and group.site.library is None and subject:
            place = user.file, user.function, subject
            key[group.rows] = subjects.setdefault(place, len(subjects) + 1)
    rows = np.flatnonzero(key)
    if not len(rows):
        return
    code = codes(
        key[rows], copies.src_storage[rows], copies.src_version[rows], copies.content_hash[rows],
        copies.thread[rows], copies.process[rows],
    )  # fmt: skip
    before = previous_same(code)
    again, first = rows[before >= 0], rows[before[before >= 0]]
    other = copies.site[again] != copies.site[first]
    other &= copies.step[again] - copies.step[first] <= 1
    out[again[other]] = first[other]


def _subject(call: CallSite) -> str:
    """The tensor that a read names, ``loss`` of ``float(loss.detach())``; "" if it is none."""
    node = call.node
    if isinstance(node, ast.FormattedValue):
        node = node.value
    while isinstance(node, ast.Call):
        if isinstance(node.func, ast.Attribute) and node.func.attr in _READS:
            node = node.func.value
        elif isinstance(node.func, ast.Name) and node.func.id in _NUMBERS and len(node.args) == 1:
            node = node.args[0]
        else:
            return ""
    return ast.unparse(node) if call.file.dotted(node) else ""


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
        When the tensor was written in between (not reported).  Of single values only those count
        that two lines of a function read from the same name in the same step.
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
            fix=_fix(int(copies.bytes[rows].max()), related[0][1].line if related else 0),
            related=related,
            evidence=[
                Evidence("storage", "same storage and version counter on the device"),
                *_same(copies.hash_kind[rows], call),
            ],
        )


def _fix(size: int, line: int) -> str:
    if not line:
        return "download it once and keep the host tensor until the device tensor changes"
    if size <= TINY_BYTES:
        return f"keep the number that line {line} reads and use it here"
    return f"keep the host tensor of the download at line {line} and use it here"


def _same(kinds: npt.NDArray[np.int8], call: CallSite | None) -> list[Evidence]:
    """What says that the content is the same."""
    if (kinds == int(HashKind.NONE)).all():
        subject = _subject(call) if call is not None else ""
        return [Evidence("expression", f"both lines read `{subject}`")] if subject else []
    whole = bool((kinds == int(HashKind.FULL)).all())
    return [Evidence("content-hash", f"the {'whole' if whole else 'sampled'} content is the same")]
