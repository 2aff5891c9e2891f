"""PA105: a whole tensor crosses, and only a small part or a reduction of it is used."""

from __future__ import annotations

import ast
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from placeaudit.analyze.audit import D2H
from placeaudit.analyze.callsite import CallSite
from placeaudit.analyze.lineage import COMPUTES, Ending, Fate, itemsize
from placeaudit.analyze.source import ParsedFile
from placeaudit.model import Certainty, Evidence, Finding, Severity
from placeaudit.rules.base import by_library, finding, library_name, size_words
from placeaudit.rules.facts import Facts, Group
from placeaudit.rules.transfers.duplicate_download import duplicate_downloads
from placeaudit.rules.transfers.host_detour import detour_downloads
from placeaudit.rules.transfers.round_trip import round_trips

__all__ = ["OversizedCopy", "oversized_copies"]

#: At most this share of the bytes is used.
SHARE: Final = 8
#: Smaller copies cost their latency, whatever part of them is used.
LEAST_BYTES: Final = 4096

#: Methods that leave one element, or one per row, of what they are called on; with the bytes of an
#: element of the result (0: the same type).
_REDUCTIONS: Final = {
    "argmax": 8, "argmin": 8, "sum": 0, "mean": 0, "max": 0, "min": 0, "amax": 0, "amin": 0,
    "any": 1, "all": 1, "norm": 0, "std": 0, "var": 0, "median": 0, "prod": 0, "logsumexp": 0,
    "count_nonzero": 8,
}  # fmt: skip
#: Operators whose small result is one of the element type, not a reduction.
_ELEMENTWISE: Final = frozenset(
    {
        "_to_copy", "copy_", "eq", "ne", "lt", "le", "gt", "ge", "isnan", "isinf", "isfinite",
        "logical_not", "logical_and", "logical_or", "logical_xor", "sign", "signbit", "clone",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Oversized:
    """Copies of one site of which at most an eighth is used."""

    group: Group
    #: Bytes used of each copy, at most; and what uses them.
    used: int
    whole: int
    by: str
    #: Whether the window saw it; else the expression says so.
    seen: bool


def oversized_copies(facts: Facts) -> tuple[Oversized, ...]:
    """Sites of oversized copies."""
    copies = facts.audit.copies
    usable = (facts.downloads() | facts.uploads()) & (copies.bytes >= LEAST_BYTES)
    usable &= ~facts.once(round_trips).uploads & ~facts.once(round_trips).downloads
    usable &= ~facts.once(detour_downloads) & (facts.once(duplicate_downloads) < 0)
    fates: dict[int, list[Fate]] = defaultdict(list)
    for fate in facts.lineage.fates.values():
        fates[int(copies.site[fate.copy])].append(fate)
    found = []
    for group in facts.groups(copies, np.flatnonzero(usable)):
        judged = _by_window(facts, group, fates.get(group.index, []))
        if judged is None:
            judged = _by_expression(facts, group, fates.get(group.index, []))
        if judged is not None:
            found.append(judged)
    return tuple(found)


def explained(facts: Facts) -> npt.NDArray[np.bool_]:
    """By copy: whether PA105 explains it."""
    out = np.zeros(len(facts.audit.copies), dtype=np.bool_)
    for found in facts.once(oversized_copies):
        out[found.group.rows] = True
    return out


def _contradicted(fates: Sequence[Fate]) -> bool:
    """Whether the window saw that the whole was used (or handed to where nothing is seen)."""
    return any(taken < 0 or taken * SHARE > fate.bytes for fate in fates for taken in fate.exports)


def _by_window(facts: Facts, group: Group, fates: Sequence[Fate]) -> Oversized | None:
    last = max((f.copy for f in fates), default=-1)
    # Of what is sliced at once, only the slice can be reached later, however long it is kept.
    sliced = _sliced(facts.call(group.index))
    ended = [f for f in fates if sliced or f.ending is not Ending.ALIVE or f.copy == last]
    if not ended or len(ended) < len(fates) or not facts.lineage.complete:
        return None
    if facts.read_elsewhere(group.index):
        return None
    if not sliced and all(f.ending is Ending.ALIVE for f in ended):
        return None
    most, whole, by = 0, 0, ""
    for fate in ended:
        if fate.unread:
            if fate.copy == last:
                continue
            return None
        part = _part(facts, fate)
        if part is None:
            return None
        if part[0] >= most:
            most, by, whole = part[0], part[1], fate.bytes
    return Oversized(group, most, whole, by, seen=True) if by else None


def _sliced(call: CallSite | None) -> bool:
    """``x.cpu()[0, head]``: the whole copy has no name."""
    if call is None or not isinstance(call.node, ast.Call):
        return False
    parent = call.file.parents.get(call.node)
    return isinstance(parent, ast.Subscript) and isinstance(parent.ctx, ast.Load)


def _part(facts: Facts, fate: Fate) -> tuple[int, str] | None:
    """Bytes that are used of one copy and by what; None where it is more than an eighth."""
    audit, operations = facts.audit, facts.audit.operations
    used, names = 0, []
    for operation, taken in fate.reads:
        if taken * SHARE <= fate.bytes:
            used += taken
            names.append("a slice")
            continue
        name = audit.text(int(operations.name[operation]))
        first, end = operations.first_made[operation], operations.first_made[operation + 1]
        made = int(operations.made_bytes[first:end].sum())
        alone = not facts.lineage.others(operation, fate.memory)
        reduces = operations.kind[operation] == COMPUTES and name not in _ELEMENTWISE
        # What a device reduces is its work: the host would not do it better.
        reduces &= bool(audit.copies.direction[fate.copy] == D2H)
        if not (reduces and alone and end > first and made * SHARE <= taken):
            return None
        used += made
        names.append(f"`{name}`")
    for taken in fate.exports:
        if taken < 0 or taken * SHARE > fate.bytes:
            return None
        used += taken
        names.append("a slice")
    if used * SHARE > fate.bytes:
        return None
    return used, " and ".join(dict.fromkeys(names))


# --- the call expression -----------------------------------------------------------------------


def _by_expression(facts: Facts, group: Group, fates: Sequence[Fate]) -> Oversized | None:
    call = facts.call(group.index)
    if call is None or not isinstance(call.node, ast.Call) or group.site.library is not None:
        return None
    used, array = _used(call)
    if not array and _contradicted(fates):
        return None
    audit, copies = facts.audit, facts.audit.copies
    most, whole, by = 0, 0, ""
    for row in group.rows.tolist():
        shape = _shape(audit.text(int(copies.shape[row])))
        size = itemsize(audit.text(int(copies.dst_dtype[row])))
        down = bool(copies.direction[row] == D2H)
        part = _rest(call.file, used, shape, size, down=down) if shape and size else None
        full = math.prod(shape or ()) * size
        if part is None or part[0] * SHARE > full:
            return None
        if part[0] >= most:
            most, by, whole = part[0], part[1], full
    return Oversized(group, most, whole, by, seen=False) if by else None


def _shape(text: str) -> tuple[int, ...] | None:
    try:
        return tuple(int(part) for part in text.split("x")) if text else ()
    except ValueError:
        return None


def _used(call: CallSite) -> tuple[ast.AST, bool]:
    """The expression whose parent uses the copy, and whether it is one as a NumPy array.

    The call itself, what it hands on as it is, or the only mention of the name it is given.
    """
    file, node, array, named = call.file, call.node, False, False
    while True:
        parent = file.parents.get(node)
        if isinstance(parent, ast.Attribute) and parent.attr in {"detach", "numpy"}:
            above = file.parents.get(parent)
            if not isinstance(above, ast.Call) or above.args or above.keywords:
                return node, array
            array |= parent.attr == "numpy"
            node = above
        elif isinstance(parent, ast.Assign) and not named:
            mention = _only_mention(file, parent)
            if mention is None:
                return node, array
            node, named = mention, True
        else:
            return node, array


def _only_mention(file: ParsedFile, statement: ast.Assign) -> ast.Name | None:
    """Where the name that a function's statement assigns is used, if that is in one place only."""
    (target, *more) = statement.targets
    if more or not isinstance(target, ast.Name):
        return None
    scope = file.scope(target)
    names = file.occurrences(scope, target.id)
    loads = [n for n in names if isinstance(n.ctx, ast.Load)]
    alone = len(names) == 2 and len(loads) == 1  # noqa: PLR2004 (given once, used once)
    if not alone or isinstance(scope, ast.Module) or file.escapes(scope, target.id):
        return None
    (load,) = loads
    after = file.order(load) > file.order(target) and file.loop(load) is file.loop(target)
    return load if after else None


def _rest(
    file: ParsedFile, node: ast.AST, shape: tuple[int, ...], size: int, *, down: bool
) -> tuple[int, str] | None:
    """Bytes that remain of ``shape`` after what is done at once with the copy at ``node``."""
    parent = file.parents.get(node)
    if isinstance(parent, ast.Subscript) and parent.value is node:
        if not isinstance(parent.ctx, ast.Load):
            return None
        left = _indexed(parent.slice, shape)
        written = ast.unparse(parent)[len(ast.unparse(parent.value)) :]
        return (left * size, f"`{written}`") if left is not None else None
    if isinstance(parent, ast.Attribute) and down and parent.attr in _REDUCTIONS:
        made = file.parents.get(parent)
        if not isinstance(made, ast.Call) or made.func is not parent:
            return None
        left = _reduced(made, shape)
        element = _REDUCTIONS[parent.attr] or size
        written = ast.unparse(made)[len(ast.unparse(node)) :]
        return (left * element, f"`{written}`") if left is not None else None
    return None


def _constant(node: ast.expr) -> int | None:
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _indexed(index: ast.expr, shape: tuple[int, ...]) -> int | None:
    """Elements that remain after indexing with numbers and slices of numbers."""
    parts = list(index.elts) if isinstance(index, ast.Tuple) else [index]
    if len(parts) > len(shape):
        return None
    left = list(shape)
    for axis, part in enumerate(parts):
        if isinstance(part, ast.Slice):
            ends = [part.lower, part.upper, part.step]
            values = [_constant(e) if e is not None else None for e in ends]
            if any(e is not None and v is None for e, v in zip(ends, values, strict=True)):
                return None
            try:
                left[axis] = len(range(*slice(*values).indices(shape[axis])))
            except ValueError:
                return None
        elif _constant(part) is not None:
            left[axis] = 1
        else:
            return None
    return math.prod(left)


def _reduced(call: ast.Call, shape: tuple[int, ...]) -> int | None:
    """Elements that remain after a reduction over the dimension the call names, or over all."""
    named = next((k.value for k in call.keywords if k.arg in {"dim", "axis"}), None)
    if named is None and call.args:
        named = call.args[0]
    if named is None:
        return 1
    axis = _constant(named)
    if axis is None or not -len(shape) <= axis < len(shape):
        return None
    return math.prod(shape) // max(1, shape[axis])


class OversizedCopy:
    """A whole tensor crosses between devices although at most an eighth of it is used.

    What it does
        Finds copies of 4 KiB or more whose only use is a slice or a reduction that leaves at most
        an eighth of the bytes: as the operation window saw it, or as the expression itself says
        (``x.cpu().argmax(1)``, ``x.cpu()[0]``).

    Why it costs
        The link carries what is thrown away at once, and the host reduces it one core at a time.

    Example:
        ::

            predicted = logits.cpu().argmax(1)

    Use instead
        ::

            predicted = logits.argmax(1).cpu()

    When it is fine
        When the host uses the whole as well (not reported), or when the reduction must run in the
        host's precision.
    """

    code = "PA105"
    name = "oversized-copy"
    severity = Severity.WARNING

    def check(self, facts: Facts) -> Iterable[Finding]:
        """One finding for each site that copies more than is used."""
        copies = facts.audit.copies
        for found in facts.once(oversized_copies):
            if copies.steady[found.group.rows].any():
                yield self._finding(facts, found)

    def _finding(self, facts: Facts, found: Oversized) -> Finding:
        audit, group = facts.audit, found.group
        copies = audit.copies
        recurrence = facts.recurrence(copies, group.rows)
        src, dst = (
            audit.text(int(ids[group.rows[0]])) for ids in (copies.src_device, copies.dst_device)
        )
        call = facts.call(group.index)
        text = f"`{call.text}`" if call else "this line"
        by = f" (by {library_name(group.site)})" if group.site.library else ""
        source = (
            "the operation window saw no other use of the copy"
            if found.seen
            else "the source mentions the copy nowhere else"
        )
        return finding(
            self,
            facts,
            copies,
            group.rows,
            severity=by_library(
                group.site, Severity.WARNING if recurrence.often else Severity.INFO
            ),
            certainty=Certainty.PROVEN,
            message=(
                f"{text} copies {size_words(found.whole)} from {src} to {dst}, of which {found.by} "
                f"leaves {size_words(found.used)}, {recurrence.words}{by}"
            ),
            fix=_fix(call, found, src),
            evidence=[Evidence("part", f"{found.used} of {found.whole} bytes are used: {source}")],
        )


def _fix(call: CallSite | None, found: Oversized, src: str) -> str:
    what = found.by if found.by != "a slice" else "the slice"
    if call is not None and _shown(call):
        return "show it every N steps only, or copy the few values that are to be seen"
    if call is not None and isinstance(call.node, ast.Call):
        func = call.node.func
        if isinstance(func, ast.Attribute) and not found.seen:
            value = call.file.quote(func.value)
            rest = f"{found.by.strip('`')}"
            copy = ast.unparse(call.node)[len(ast.unparse(func.value)) :]
            return f"do it on {src} and copy the result: `{value}{rest}{copy}`"
    return f"do {what} on {src}, before the copy, and copy what is left"


def _shown(call: CallSite) -> bool:
    """Whether the copy is formatted or printed where it is made: PyTorch shows its corners."""
    parent = call.file.parents.get(call.node)
    if isinstance(parent, ast.Call) and isinstance(parent.func, ast.Name):
        return parent.func.id in {"print", "str", "repr", "format"}
    return isinstance(parent, ast.FormattedValue)
