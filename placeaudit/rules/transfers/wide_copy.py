"""PA107: more bytes an element cross than the values need."""

from __future__ import annotations

import ast
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from placeaudit.analyze.audit import D2H, H2D, Audit
from placeaudit.analyze.lineage import SCALAR_BYTES, Fate, itemsize
from placeaudit.model import Certainty, Evidence, Finding, Severity
from placeaudit.rules.base import by_library, finding, library_name, recurs, size_words
from placeaudit.rules.facts import Facts, Group
from placeaudit.rules.transfers import host_created
from placeaudit.rules.transfers.duplicate_upload import duplicate_uploads
from placeaudit.rules.transfers.oversized_copy import explained as oversized
from placeaudit.rules.transfers.round_trip import round_trips

__all__ = ["WideCopy", "explained", "wide_copies"]

#: Fewer bytes saved by a copy are not worth a line.
LEAST_SAVED: Final = 1024
#: Host operations walked back from an upload to what was widened.
_DEEPEST: Final = 8
#: Conversions by method, and the element type they give.
_CASTS: Final = {
    "half": "float16", "bfloat16": "bfloat16", "float": "float32", "int": "int32",
    "short": "int16", "byte": "uint8", "char": "int8", "bool": "bool",
}  # fmt: skip
_CONVERTS: Final = frozenset({"_to_copy", "copy_"})


@dataclass(frozen=True, slots=True)
class Wide:
    """Copies of one site that carry wider elements than they need."""

    group: Group
    #: Bytes that need not cross, of each copy on average.
    saved: int
    narrow: str
    wide: str
    #: Where the conversion is: "before" the copy, "in" it, "after" it.
    where: str
    #: Names of host operations between the conversion and the upload.
    between: tuple[str, ...]
    seen: bool


def wide_copies(facts: Facts) -> tuple[Wide, ...]:
    """Sites of wide copies."""
    copies = facts.audit.copies
    usable = (facts.downloads() | facts.uploads()) & (copies.bytes > LEAST_SAVED)
    trips = facts.once(round_trips)
    usable &= ~trips.uploads & ~trips.downloads & ~facts.once(oversized)
    usable &= ~facts.once(host_created.explained) & ~facts.once(duplicate_uploads).repeats
    fates: dict[int, list[Fate]] = defaultdict(list)
    for fate in facts.lineage.fates.values():
        fates[int(copies.site[fate.copy])].append(fate)
    uploads: dict[int, list[int]] = defaultdict(list)
    for index in facts.lineage.uploads:
        uploads[int(copies.site[facts.audit.operations.copy[index]])].append(index)
    found = []
    for group in facts.groups(copies, np.flatnonzero(usable)):
        wide = (
            _in_the_copy(facts, group)
            or _widened(facts, group, uploads.get(group.index, []))
            or _cast_after(facts, group, fates.get(group.index, []))
            or _cast_in_expression(facts, group)
        )
        if wide is not None and wide.saved >= LEAST_SAVED:
            found.append(wide)
    return tuple(found)


def explained(facts: Facts) -> npt.NDArray[np.bool_]:
    """By copy: whether PA107 explains it."""
    out = np.zeros(len(facts.audit.copies), dtype=np.bool_)
    for found in facts.once(wide_copies):
        out[found.group.rows] = True
    return out


# --- evidence ----------------------------------------------------------------------------------


def _in_the_copy(facts: Facts, group: Group) -> Wide | None:
    """The copy converts, and the bytes that crossed are those of the wider type."""
    audit, copies = facts.audit, facts.audit.copies
    pairs = {
        (int(s), int(d))
        for s, d in zip(copies.src_dtype[group.rows], copies.dst_dtype[group.rows], strict=True)
    }
    if len(pairs) != 1:
        return None
    (source, target) = (audit.text(i) for i in pairs.pop())
    narrow, wide = sorted((source, target), key=itemsize)
    if not itemsize(narrow) or itemsize(narrow) == itemsize(wide):
        return None
    elements = [_elements(audit.text(int(i))) for i in copies.shape[group.rows]]
    crossed = copies.bytes[group.rows]
    needed = np.array(elements, dtype=np.int64) * itemsize(narrow)
    if not (crossed > needed).all():
        return None
    return Wide(group, int((crossed - needed).mean()), narrow, wide, "in", (), seen=True)


def _elements(shape: str) -> int:
    return math.prod(int(part) for part in shape.split("x")) if shape else 1


def _widened(facts: Facts, group: Group, uploads: Sequence[int]) -> Wide | None:
    """Every upload in the window is of what the host widened, by operations on it alone."""
    if not uploads or facts.audit.copies.direction[group.rows[0]] != H2D:
        return None
    found = [_narrow_source(facts, index) for index in uploads]
    whole = [each for each in found if each is not None]
    if len(whole) < len(found):
        return None
    saved = sum(each[0] for each in whole) // len(whole)
    _, narrow, wide, between = whole[-1]
    return Wide(group, saved, narrow, wide, "before", between, seen=True)


def _narrow_source(facts: Facts, index: int) -> tuple[int, str, str, tuple[str, ...]] | None:
    """Bytes saved, narrow type, wide type and operations in between of one upload."""
    audit, operations, lineage = facts.audit, facts.audit.operations, facts.lineage
    memory, position = lineage.source(index)
    crossed = int(operations.use_bytes[position])
    wide = audit.text(int(operations.use_dtype[position]))
    between: list[str] = []
    before = index
    for _ in range(_DEEPEST):
        made = lineage.maker(memory, before)
        if made is None or len(made.uses) != 1:
            return None
        for operation, _ in lineage.written(memory, made.operation, before):
            if lineage.others(operation, memory):
                return None  # another tensor was mixed in: the narrow one does not say it all
            between.append(audit.text(int(operations.name[operation])))
        if _read_otherwise(facts, memory, made.operation, before, index):
            return None
        (use,) = made.uses
        narrow = audit.text(int(operations.use_dtype[use]))
        size = int(operations.use_bytes[use])
        if itemsize(narrow) * 2 <= itemsize(wide) and size < crossed:
            return crossed - size, narrow, wide, tuple(reversed(between))
        if size != crossed:
            return None  # it changed its shape or its type otherwise
        between.append(audit.text(int(operations.name[made.operation])))
        memory, before = lineage.memory(use), made.operation
    return None


def _read_otherwise(facts: Facts, memory: int, after: int, before: int, upload: int) -> bool:
    """Whether the host reads the widened tensor for anything else."""
    operations = facts.audit.operations
    return any(
        operations.use_access[position] == 0
        and operation not in {before, upload}
        and operations.use_bytes[position] > SCALAR_BYTES
        for operation, position in facts.lineage.uses(memory, after)
        if not _remade(facts, memory, after, operation)
    )


def _remade(facts: Facts, memory: int, after: int, operation: int) -> bool:
    made = facts.lineage.maker(memory, operation)
    return made is not None and made.operation > after


def _cast_after(facts: Facts, group: Group, fates: Sequence[Fate]) -> Wide | None:
    """All that the other side does with the copies is to cast them down."""
    if not fates or not facts.lineage.complete:
        return None
    saved, narrow, wide = 0, "", ""
    down = bool(facts.audit.copies.direction[group.rows[0]] == D2H)
    audit, operations = facts.audit, facts.audit.operations
    for fate in fates:
        if fate.exports or not fate.reads:
            return None
        for operation, taken in fate.reads:
            if audit.text(int(operations.name[operation])) not in _CONVERTS or taken < fate.bytes:
                return None
            types = _conversion(audit, operation)
            if types is None or not _casts_down(*types, down=down):
                return None
            wide, narrow = types
        saved += fate.bytes - fate.bytes // itemsize(wide) * itemsize(narrow)
    return Wide(group, saved // len(fates), narrow, wide, "after", (), seen=True)


def _casts_down(wide: str, narrow: str, *, down: bool) -> bool:
    """Whether the copy should have been of the narrow type.

    Of uploads only those of float64 are meant: float32 that autocast rounds is as wide as it should
    be on the host.
    """
    return itemsize(narrow) < itemsize(wide) and (down or wide in {"float64", "complex128"})


def _conversion(audit: Audit, operation: int) -> tuple[str, str] | None:
    """Element types before and after a conversion, where both are known."""
    operations = audit.operations
    first, end = (int(i) for i in operations.first_use[operation : operation + 2])
    if audit.text(int(operations.name[operation])) == "copy_":
        target, source = operations.use_dtype[first], operations.use_dtype[end - 1]
    else:
        made = int(operations.first_made[operation])
        if operations.first_made[operation + 1] == made:
            return None
        source, target = operations.use_dtype[first], operations.made_dtype[made]
    names = audit.text(int(source)), audit.text(int(target))
    return names if all(map(itemsize, names)) else None


def _cast_in_expression(facts: Facts, group: Group) -> Wide | None:
    """``x.to(device).float()`` of a float64 tensor; ``x.cpu().half()``."""
    call = facts.call(group.index)
    if call is None or group.site.library is not None:
        return None
    parent = call.file.parents.get(call.node)
    if not isinstance(parent, ast.Attribute) or parent.attr not in _CASTS:
        return None
    if not isinstance(call.file.parents.get(parent), ast.Call):
        return None
    audit, copies = facts.audit, facts.audit.copies
    types = {audit.text(int(i)) for i in copies.dst_dtype[group.rows]}
    narrow = _CASTS[parent.attr]
    wide = types.pop()
    down = bool(copies.direction[group.rows[0]] == D2H)
    if types or not _casts_down(wide, narrow, down=down):
        return None
    mean = int(copies.bytes[group.rows].mean())
    saved = mean - mean // itemsize(wide) * itemsize(narrow)
    return Wide(group, saved, narrow, wide, "after", (), seen=False)


class WideCopy:
    """A tensor that crosses with more bytes an element than its values need.

    What it does
        Finds uploads of what the host widened just before (``uint8`` to ``float32``), copies that
        widen before they cross, and copies whose only use on the other side is a cast to a narrower
        type, where 1 KiB or more a copy is saved.  The bytes are those that really crossed.  A
        tensor into which the host mixed another one, random numbers for one, is no wide copy: the
        narrow source does not say it all.  What NumPy widened cannot be seen.

    Why it costs
        ``float32`` images are four times as many bytes over the link as the ``uint8`` they came
        from, and the host spends its time to widen them.

    Example:
        ::

            x = images.float().div_(255).to(device)

    Use instead
        ::

            x = images.to(device).float().div_(255)

    When it is fine
        When the host reads the wide tensor too (not reported), or when device memory is too small
        to hold both for a moment.
    """

    code = "PA107"
    name = "wide-copy"
    severity = Severity.WARNING

    def check(self, facts: Facts) -> Iterable[Finding]:
        """One finding for each site that copies wide."""
        copies = facts.audit.copies
        for found in facts.once(wide_copies):
            if recurs(facts, copies, found.group.rows):
                yield self._finding(facts, found)

    def _finding(self, facts: Facts, found: Wide) -> Finding:
        audit, group = facts.audit, found.group
        copies = audit.copies
        recurrence = facts.recurrence(copies, group.rows)
        first = group.rows[0]
        src, dst = (
            audit.text(int(copies.src_device[first])),
            audit.text(int(copies.dst_device[first])),
        )
        call = facts.call(group.index)
        text = f"`{call.text}`" if call else "this line"
        by = f" (by {library_name(group.site)})" if group.site.library else ""
        what = {
            "before": f"what the host widened from {found.narrow}",
            "in": f"as {found.wide} what is {found.narrow} on one side",
            "after": f"as {found.wide} what is only cast to {found.narrow} there",
        }[found.where]
        certain = Certainty.PROVEN
        return finding(
            self,
            facts,
            copies,
            group.rows,
            severity=by_library(
                group.site, Severity.WARNING if recurrence.often else Severity.INFO
            ),
            certainty=certain,
            message=(
                f"{text} copies to {dst} {what}: {size_words(found.saved)} a copy need not cross, "
                f"{recurrence.words}{by}"
            ),
            fix=(
                f"nothing to change in this line; {library_name(group.site)} copies on your behalf"
                if group.site.library
                else _fix(found, src, dst)
            ),
            evidence=[
                Evidence(
                    "dtype",
                    f"{found.wide} crossed where {found.narrow} holds the same values"
                    + (" (operation window)" if found.seen and found.where != "in" else ""),
                )
            ],
        )


def _fix(found: Wide, src: str, dst: str) -> str:
    if found.where == "before":
        rest = ", ".join(f"`{name}`" for name in found.between)
        after = f" and do {rest} there" if rest else ""
        return f"upload the {found.narrow} tensor, convert it on {dst}{after}"
    if found.where == "in":
        return (
            f"copy and convert in two steps, so that {found.narrow} crosses: convert to "
            f"{found.narrow} before the copy or to {found.wide} after it"
        )
    return f"convert to {found.narrow} on {src}, before the copy"
