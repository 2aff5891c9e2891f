"""PA208: a device tensor indexed by the host, which uploads the index."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import Final

import numpy as np
import numpy.typing as npt

from placeaudit.analyze.callsite import CONSTANT_FACTORIES, CallSite
from placeaudit.model import Certainty, Evidence, Finding, Severity
from placeaudit.rules.base import by_library, finding, library_name, recurs
from placeaudit.rules.facts import Facts, Group
from placeaudit.rules.transfers.round_trip import round_trips

__all__ = ["HostIndex", "host_indices"]

#: Element types of what PyTorch takes as an index; a mask becomes int64 before it crosses.
_INDEX_TYPES: Final = frozenset({"int64", "int32", "int16", "int8", "uint8", "bool"})
#: Functions of torch that make an index on the host where no device is named.
_HOST_FACTORIES: Final = CONSTANT_FACTORIES | {"arange", "randperm", "randint", "linspace"}
_INDEXING_CALLS: Final = frozenset({"index_put", "index_put_", "__getitem__", "__setitem__"})


def host_indices(facts: Facts) -> npt.NDArray[np.bool_]:
    """By copy: whether it uploads the index of an indexing expression.

    Wins over PA102, PA202 and PA203, whose advice (upload once, pin) misses that nobody wrote an
    upload there.  An index that was itself downloaded before is PA101's: there the download is
    what should go.
    """
    copies = facts.audit.copies
    out = np.zeros(len(copies), dtype=np.bool_)
    types = [i for i, text in enumerate(facts.audit.strings) if text in _INDEX_TYPES]
    scalars = [i for i, text in enumerate(facts.audit.strings) if not text]
    usable = facts.uploads() & np.isin(copies.src_dtype, types)
    # A host scalar is read where it lies and nothing crosses, but for one assigned as a value.
    usable &= ~np.isin(copies.shape, scalars) & ~facts.once(round_trips).uploads
    for group in facts.groups(copies, np.flatnonzero(usable)):
        call = facts.call(group.index)
        if call is None or not _indexes(call):
            continue
        rows = group.rows
        if _stores(call):
            # `x[i] = host` writes into x, which raises its version; an index goes into new memory.
            rows = rows[copies.dst_version[rows] <= 0]
        out[rows] = True
    return out


def _indexes(call: CallSite) -> bool:
    node = call.node
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Attribute) and node.func.attr in _INDEXING_CALLS
    if isinstance(node, ast.AugAssign):
        node = node.target
    return isinstance(node, ast.Subscript) and not _plain(node.slice)


def _plain(index: ast.expr) -> bool:
    """Slices and constants only: no tensor among them."""
    if isinstance(index, ast.Tuple):
        return all(map(_plain, index.elts))
    if isinstance(index, ast.UnaryOp):
        return _plain(index.operand)
    return isinstance(index, ast.Slice | ast.Constant)


def _stores(call: CallSite) -> bool:
    node = call.node
    if isinstance(node, ast.Subscript):
        return isinstance(node.ctx, ast.Store)
    return isinstance(node, ast.AugAssign | ast.Call)


class HostIndex:
    """A host index or mask used on a device tensor.

    What it does
        Finds ``x[index]`` and ``x[index] = …`` where ``x`` is on the device and ``index`` is a host
        tensor, a host mask, a NumPy array or a list.  Nobody wrote an upload, but PyTorch makes one
        each time.

    Why it costs
        The index crosses from pageable memory, so the host waits for it; what follows on the device
        waits too.

    Example:
        ::

            order = torch.randperm(len(images))
            for i in range(0, len(images), 64):
                batch = images[order[i : i + 64]]

    Use instead
        ::

            order = torch.randperm(len(images), device=images.device)
            for i in range(0, len(images), 64):
                batch = images[order[i : i + 64]]

    When it is fine
        Numbers, slices and 0-dimensional host tensors upload nothing and are not reported.  An
        index that changes with each batch and comes from the host has to cross: upload it with the
        batch, from pinned memory.
    """

    code = "PA208"
    name = "host-index"
    severity = Severity.WARNING

    def check(self, facts: Facts) -> Iterable[Finding]:
        """One finding for each site whose indexing uploads."""
        copies = facts.audit.copies
        for group in facts.groups(copies, np.flatnonzero(facts.once(host_indices))):
            if recurs(facts, copies, group.rows):
                yield self._finding(facts, group)

    def _finding(self, facts: Facts, group: Group) -> Finding:
        audit, rows = facts.audit, group.rows
        copies = audit.copies
        recurrence = facts.recurrence(copies, rows)
        device = audit.text(int(copies.dst_device[rows[0]]))
        call = facts.call(group.index)
        text = f"`{call.text}`" if call else "this line"
        by = f" (by {library_name(group.site)})" if group.site.library else ""
        return finding(
            self,
            facts,
            copies,
            rows,
            severity=by_library(
                group.site, Severity.WARNING if recurrence.often else Severity.INFO
            ),
            certainty=Certainty.PROVEN,
            message=(
                f"{text} indexes a tensor on {device} from the host, which uploads the index and "
                f"makes the host wait, {recurrence.words}{by}"
            ),
            fix=_fix(call, device),
            evidence=[
                Evidence(
                    "nested-copy",
                    f"{len(rows)} uploads of {audit.text(int(copies.src_dtype[rows[0]]))} inside "
                    "the indexing operation",
                )
            ],
        )


def _attribute_of_self(index: ast.expr) -> str:
    """``chosen`` for ``self.chosen`` in an index, "" where there is none."""
    for node in ast.walk(index):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "self":
            return node.attr
    return ""


def _fix(call: CallSite | None, device: str) -> str:
    node = call.node if call else None
    if isinstance(node, ast.AugAssign):
        node = node.target
    if call is None or not isinstance(node, ast.Subscript):
        return f"keep the index on {device}: make it there, or upload it once before the loop"
    subject = call.file.quote(node.value)
    parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    index = next((n for n in ast.walk(node.slice) if isinstance(n, ast.List)), None)
    if index is not None:
        if index in parts and (sliced := _slice_of_one(index)):
            written = ", ".join(sliced if part is index else ast.unparse(part) for part in parts)
            return f"a list is uploaded each time; a slice is not: `{subject}[{written}]`"
        return (
            "a list becomes a tensor and is uploaded each time: make it one once, before the loop, "
            f"`torch.tensor({call.file.quote(index)}, device={subject}.device)`"
        )
    if buffer := _attribute_of_self(node.slice):
        return (
            f"make `self.{buffer}` a buffer, "
            f'`self.register_buffer("{buffer}", …, persistent=False)`: it then moves with '
            "the module once"
        )
    parts = [part for part in parts if not _plain(part)]
    # Only what is made on the host here is known to be there.
    made = [part for part in parts if _host_made(call, part)]
    counted = next((p for p in made if ast.unparse(p).startswith("range(")), None)
    if isinstance(counted, ast.Call):
        bounds = ", ".join(map(ast.unparse, counted.args))
        return (
            "a range becomes a tensor and is uploaded each time: use "
            f"`torch.arange({bounds}, device={subject}.device)`"
        )
    which = " and ".join(f"`{call.file.quote(part)}`" for part in made or parts)
    if len(parts) > 1 and not made:
        which = f"whichever of {which} is on the host"
    factory = " (`device=`)" if made else ""
    return (
        f"make {which} on {device}, where `{subject}` is{factory}; what has to come from the host "
        "needs one upload for all lines that index with it"
    )


def _slice_of_one(index: ast.List) -> str:
    """The slice that takes what a list of one number takes: ``-1:`` for ``[-1]``; "" for others."""
    if len(index.elts) != 1:
        return ""
    try:
        number = ast.literal_eval(index.elts[0])
    except ValueError:
        return ""
    if not isinstance(number, int) or isinstance(number, bool):
        return ""
    return "-1:" if number == -1 else f"{number}:{number + 1}"


def _host_made(call: CallSite, part: ast.expr) -> bool:
    """Whether an index is made on the host where it stands: ``range(n)``, ``torch.arange(n)``."""
    if not isinstance(part, ast.Call):
        return False
    name = call.file.dotted(part.func)
    top, _, last = name.partition(".")
    host = name == "range" or (top == "torch" and last in _HOST_FACTORIES) or top == "numpy"
    return host and not any(keyword.arg in {"device", None} for keyword in part.keywords)
