"""PA111: device data goes through the host to be computed on, and back."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from placeaudit.analyze.audit import D2H
from placeaudit.analyze.callsite import CallSite, upload_at
from placeaudit.analyze.lineage import Origins
from placeaudit.analyze.numbers import is_number
from placeaudit.analyze.source import ParsedFile
from placeaudit.model import Certainty, Evidence, Finding, Severity
from placeaudit.rules.base import by_library, finding, library_name
from placeaudit.rules.facts import Facts, Group
from placeaudit.rules.transfers.round_trip import round_trips

__all__ = [
    "Detour",
    "HostDetour",
    "detour_downloads",
    "explained",
    "feeding",
    "host_detours",
]

#: Operators of PyTorch that no accelerator has.
HOST_ONLY: Final = frozenset(
    {
        "histogram", "_histogramdd_bin_edges", "_histogramdd_from_bin_cts",
        "_histogramdd_from_bin_tensors",
    }
)  # fmt: skip
#: Methods of arrays that tensors have too.
_METHODS: Final = frozenset(
    {
        "mean", "std", "var", "sum", "prod", "max", "min", "argmax", "argmin", "argsort", "clip",
        "cumsum", "cumprod", "dot", "round", "squeeze", "reshape", "transpose", "flatten",
    }
)  # fmt: skip
#: Calls that hand on the same values.
_WRAPS: Final = frozenset(
    {
        "torch.from_numpy", "torch.as_tensor", "torch.tensor", "numpy.asarray",
        "numpy.ascontiguousarray",
    }
)  # fmt: skip
_DEEPEST_EXPRESSION: Final = 24
#: Assignments followed back from an upload's expression.
_DEEPEST: Final = 4


@dataclass(frozen=True, slots=True)
class Detour:
    """Uploads of one site that bring back what the host computed from downloads."""

    group: Group
    #: Sites of the downloads.
    downloads: tuple[int, ...]
    #: What the host did, as names of operators or of foreign functions; none where only the values
    #: tell that something was done.
    operations: tuple[str, ...]
    #: Why the device could not do it, "" where it could.
    needs_host: str
    mixed: bool
    seen: bool


def host_detours(facts: Facts) -> tuple[Detour, ...]:
    """Sites of uploads that end a detour."""
    copies = facts.audit.copies
    usable = facts.uploads() & ~facts.once(round_trips).uploads
    origins: dict[int, list[Origins]] = defaultdict(list)
    for each in facts.lineage.origins:
        origins[int(copies.site[each.upload])].append(each)
    by_node = _download_nodes(facts)
    found = []
    for group in facts.groups(copies, np.flatnonzero(usable)):
        detour = _by_window(facts, group, origins.get(group.index, []))
        if detour is None:
            detour = _by_expression(facts, group, by_node)
        if detour is None:
            detour = _by_array(facts, group, origins.get(group.index, []))
        if detour is not None:
            found.append(detour)
    return tuple(found)


def explained(facts: Facts) -> npt.NDArray[np.bool_]:
    """By copy: whether PA111 has something better to say of this upload than how it is made."""
    out = np.zeros(len(facts.audit.copies), dtype=np.bool_)
    for found in facts.once(host_detours):
        if not found.needs_host and not found.mixed:
            out[found.group.rows] = True
    return out


def detour_downloads(facts: Facts) -> npt.NDArray[np.bool_]:
    """By copy: whether it is the download of a detour that can go as a whole."""
    copies = facts.audit.copies
    sites = [
        site
        for found in facts.once(host_detours)
        if not found.needs_host and not found.mixed
        for site in found.downloads
    ]
    return np.asarray(np.isin(copies.site, sites) & (copies.direction == D2H))


def _by_window(facts: Facts, group: Group, origins: list[Origins]) -> Detour | None:
    copies = facts.audit.copies
    mine = [o for o in origins if o.operations and _same_device(facts, o)]
    if not mine:
        return None
    names = tuple(dict.fromkeys(name for o in mine for name in o.operations))
    lacking = [name for name in names if name in HOST_ONLY]
    sites = {int(copies.site[d]) for o in mine for d in o.downloads}
    return Detour(
        group,
        tuple(sorted(sites)),
        names,
        f"`{lacking[0]}` has no device kernel" if lacking else "",
        any(o.mixed for o in mine),
        seen=True,
    )


def _by_array(facts: Facts, group: Group, origins: list[Origins]) -> Detour | None:
    """What came down goes up from the same memory, with other values: an array's or MPI's work."""
    mine = [o for o in origins if o.in_array and not o.mixed and _same_device(facts, o)]
    if not mine:
        return None
    sites = {int(facts.audit.copies.site[d]) for o in mine for d in o.downloads}
    why = (
        "something that is not PyTorch wrote to that memory (NumPy, MPI, …): whether the device "
        "can do the same is not known"
    )
    return Detour(group, tuple(sorted(sites)), (), why, mixed=False, seen=False)


def _same_device(facts: Facts, origins: Origins) -> bool:
    copies = facts.audit.copies
    device = copies.dst_device[origins.upload]
    return all(copies.src_device[d] == device for d in origins.downloads)


# --- the call expression -----------------------------------------------------------------------


def _download_nodes(facts: Facts) -> dict[ast.AST, int]:
    """Expressions that download, with their sites."""
    copies = facts.audit.copies
    rows = np.flatnonzero((copies.direction == D2H) & (copies.dst_storage >= 0))
    found = {}
    for index in np.unique(copies.site[rows]).tolist():
        call = facts.call(index)
        if call is not None and facts.audit.sites[index].library is None:
            found[call.node] = index
    return found


def _by_expression(facts: Facts, group: Group, downloads: dict[ast.AST, int]) -> Detour | None:
    call = facts.call(group.index)
    upload = upload_at(call) if call else None
    if call is None or upload is None or group.site.library is not None:
        return None
    copies = facts.audit.copies
    file = call.file
    nodes = list(feeding(file, upload.subject, 0))
    sites = {downloads[node] for node in nodes if node in downloads}
    if not sites or len(sites) > 1:
        return None
    (site,) = sites
    rows = np.flatnonzero((copies.site == site) & (copies.direction == D2H))
    device = copies.dst_device[group.rows[0]]
    if not (copies.src_device[rows] == device).all():
        return None
    foreign = [name for node in nodes if (name := _foreign(file, node))]
    if not foreign:
        # PyTorch's own operations are the window's to see; those of NumPy's arrays are not.
        download = next(node for node in nodes if downloads.get(node) == site)
        done = _array_arithmetic(file, upload.subject, download, 0)
        if done is None or not done.operations or not done.array:
            return None
        return Detour(group, (site,), done.operations, "", mixed=done.mixed, seen=False)
    names = tuple(dict.fromkeys(foreign))
    why = f"`{names[0]}` is not PyTorch's: whether the device can do the same is not known"
    return Detour(group, (site,), names, why, mixed=False, seen=False)


def feeding(file: ParsedFile, node: ast.expr, depth: int) -> Iterator[ast.AST]:
    """What an expression is computed from: its own nodes, and what its names were last given."""
    for inner in ast.walk(node):
        yield inner
        if isinstance(inner, ast.Name) and depth < _DEEPEST and isinstance(inner.ctx, ast.Load):
            value = _value(file, inner)
            if value is not None:
                yield from feeding(file, value, depth + 1)


def _value(file: ParsedFile, name: ast.Name) -> ast.expr | None:
    here = file.order(name)
    stores = [
        n
        for n in file.occurrences(file.scope(name), name.id)
        if isinstance(n.ctx, ast.Store) and file.order(n) <= here
    ]
    statement = file.parents.get(stores[-1]) if stores else None
    if isinstance(statement, ast.Assign) and statement.targets == [stores[-1]]:
        return statement.value
    return None


@dataclass(frozen=True, slots=True)
class _Done:
    """What an expression does with a download."""

    operations: tuple[str, ...] = ()
    #: Something else than numbers takes part.
    mixed: bool = False
    #: It goes through a NumPy array.
    array: bool = False


def _array_arithmetic(  # noqa: PLR0911 (a table)
    file: ParsedFile, node: ast.expr, download: ast.AST, depth: int
) -> _Done | None:
    """The arithmetic of arrays between ``download`` and ``node``; None where there may be more."""
    if node is download or isinstance(node, ast.Constant):
        return _Done()
    if depth > _DEEPEST_EXPRESSION:
        return None
    match node:
        case ast.Name():
            value = _value(file, node)
            if value is not None:
                return _array_arithmetic(file, value, download, depth + 1)
            return _Done(mixed=not is_number(file, node))
        case ast.BinOp(left=left, right=right):
            return _joined(file, [left, right], download, depth, type(node.op).__name__.lower())
        case ast.UnaryOp(operand=operand) | ast.Attribute(value=operand, attr="T"):
            return _array_arithmetic(file, operand, download, depth + 1)
        case ast.Subscript(value=value, slice=ast.Slice() | ast.Constant()):
            return _array_arithmetic(file, value, download, depth + 1)
        case ast.Call(func=func, args=[first]) if file.dotted(func) in _WRAPS:
            return _array_arithmetic(file, first, download, depth + 1)
        case ast.Call(func=ast.Attribute(value=value, attr="numpy"), args=[]):
            done = _array_arithmetic(file, value, download, depth + 1)
            return replace(done, array=True) if done else None
        case ast.Call(func=ast.Attribute(value=value, attr=attr), args=args) if attr in _METHODS:
            return _joined(file, [value, *args], download, depth, attr)
    return None


def _joined(
    file: ParsedFile, parts: list[ast.expr], download: ast.AST, depth: int, name: str
) -> _Done | None:
    found = [_array_arithmetic(file, part, download, depth + 1) for part in parts]
    done = [each for each in found if each is not None]
    if len(done) < len(found):
        return None
    names = [operation for each in done for operation in each.operations] + [name]
    return _Done(
        tuple(dict.fromkeys(names)),
        any(each.mixed for each in done),
        any(each.array for each in done),
    )


def _foreign(file: ParsedFile, node: ast.AST) -> str:
    """The imported function, not PyTorch's, that an expression calls with its arguments."""
    if not isinstance(node, ast.Call) or not file.is_imported(node.func):
        return ""
    name = file.dotted(node.func)
    top = name.partition(".")[0]
    plain = name in {"numpy.asarray", "numpy.array", "numpy.ascontiguousarray"}
    return "" if plain or top in {"torch", "builtins"} or not node.args else name


class HostDetour:
    """Device data downloaded, computed on by the host, and the result uploaded again.

    What it does
        Follows host operations, through the operation window, from a download to an upload to the
        same device; where NumPy or another library computed in between, the expression says so.  It
        is reported at the upload; the download is named with it.  What comes back unchanged is
        PA101's.

    Why it costs
        Two copies, a host that waits for everything queued on the device, and a device that waits
        for the host's slower computation.

    Example:
        ::

            order = scores.cpu().argsort()
            batch = batch[order.to(device)]

    Use instead
        ::

            order = scores.argsort()
            batch = batch[order]

    When it is fine
        Where the operation has no device kernel, comes from a library that works on the host only,
        or mixes in data that lives on the host: then it is ``info``.
    """

    code = "PA111"
    name = "host-detour"
    severity = Severity.WARNING

    def check(self, facts: Facts) -> Iterable[Finding]:
        """One finding for each site that uploads what was computed from downloads."""
        copies = facts.audit.copies
        for found in facts.once(host_detours):
            if copies.steady[found.group.rows].any():
                yield self._finding(facts, found)

    def _finding(self, facts: Facts, found: Detour) -> Finding:
        audit, group = facts.audit, found.group
        copies = audit.copies
        recurrence = facts.recurrence(copies, group.rows)
        device = audit.text(int(copies.dst_device[group.rows[0]]))
        related = []
        for site in found.downloads[:3]:
            frame = audit.sites[site].frame
            if frame is not None:
                related.append(("downloaded here", frame))
        call = facts.call(group.index)
        line = f" at line {related[0][1].line}" if related else ""
        names = ", ".join(f"`{name}`" for name in found.operations[:3])
        more = ", …" if len(found.operations) > 3 else ""  # noqa: PLR2004
        how = f" ({names}{more})" if names else ", outside of PyTorch,"
        by = f" (by {library_name(group.site)})" if group.site.library else ""
        stray = recurrence.often and not found.needs_host and not found.mixed
        return finding(
            self,
            facts,
            copies,
            group.rows,
            severity=by_library(group.site, Severity.WARNING if stray else Severity.INFO),
            certainty=Certainty.PROVEN if found.seen and not found.mixed else Certainty.LIKELY,
            message=(
                f"{_text(call)} uploads to {device} what the host computed{how} from "
                f"what was downloaded from it{line}, {recurrence.words}{by}"
            ),
            fix=_fix(found, names, device, line),
            related=related,
            evidence=[
                Evidence(
                    "lineage",
                    "the operation window shows how the upload derives from the download"
                    if found.seen
                    else "the uploaded expression is computed from the download",
                )
            ],
        )


def _text(call: CallSite | None) -> str:
    return f"`{call.text}`" if call else "this line"


def _fix(found: Detour, names: str, device: str, line: str) -> str:
    if found.needs_host:
        return (
            f"{found.needs_host}; if there is an equivalent, compute it on {device} and drop the "
            f"download{line}"
        )
    if found.mixed:
        return (
            f"keep the other tensors that take part on {device} too, compute there and drop the "
            f"download{line}"
        )
    return f"do {names} on {device}: drop the download{line} and this upload"
