"""Copies that move or save the state of modules rather than data."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from placeaudit.analyze.audit import D2H, Audit, Bools, SmallInts
from placeaudit.analyze.callsite import CallSite

__all__ = ["Moves", "module_moves", "reads_state"]

#: Methods that bring a tensor to the host.
_DOWN: Final = frozenset({"cpu", "to", "numpy"})


@dataclass(frozen=True, slots=True)
class Moves:
    """By copy, what ``Module.to``, ``.cpu()`` and ``.cuda()`` moved."""

    #: Row of the call in ``Audit.spans``, -1 for other copies.
    span: SmallInts
    #: Whether an earlier call had moved the same module already, and this one did not end its stay.
    again: Bools
    #: Whether the module went to the device once and now comes back for good.
    home: Bools


def module_moves(audit: Audit) -> Moves:
    """Which copies a call that moves a module made.

    The first move of each module is its setup.  A module that goes to a device once and comes back
    once, as each fold's of a cross-validation, ends there.
    """
    copies = audit.copies
    span = np.full(len(copies), -1, dtype=np.int32)
    again = np.zeros(len(copies), dtype=np.bool_)
    home = np.zeros(len(copies), dtype=np.bool_)
    calls: dict[tuple[int, int], list[SmallInts]] = {}
    for row, mine in _moving_calls(audit):
        span[mine] = row
        owner = int(audit.spans.process[row]), int(audit.spans.owner[row])
        if owner[1] >= 0:  # -1: the module could not be told from others
            calls.setdefault(owner, []).append(mine)
    for moves in calls.values():
        down = [bool((copies.direction[mine] == D2H).all()) for mine in moves]
        if down == [False, True]:
            home[moves[1]] = True
            continue
        for mine in moves[1:]:
            again[mine] = True
    return Moves(span, again, home)


def _moving_calls(audit: Audit) -> Iterator[tuple[int, SmallInts]]:
    """Spans of calls that moved something, in order, with the copies they made."""
    copies, spans = audit.copies, audit.spans
    kinds = [i for i, text in enumerate(audit.strings) if text == "model-move"]
    for row in np.flatnonzero(np.isin(spans.kind, kinds)).tolist():
        first, last = np.searchsorted(
            copies.time_ns, [int(spans.start_ns[row]), int(spans.end_ns[row]) + 1]
        )
        mine = np.arange(first, last)
        mine = mine[copies.thread[mine] == spans.thread[row]]
        mine = mine[copies.process[mine] == spans.process[row]]
        if len(mine):
            yield row, mine


def reads_state(call: CallSite) -> bool:
    """Whether the expression brings an item of a ``state_dict()`` that a loop goes through down."""
    node = call.node
    func = node.func if isinstance(node, ast.Call) else None
    if not isinstance(func, ast.Attribute) or func.attr not in _DOWN:
        return False
    item: ast.expr = func.value
    while isinstance(item, ast.Call | ast.Attribute):  # v.detach().clone()
        item = item.func if isinstance(item, ast.Call) else item.value
    if not isinstance(item, ast.Name):
        return False
    below: ast.AST = node
    for parent in call.file.above(node):
        loops: list[ast.comprehension | ast.For] = []
        if isinstance(parent, ast.ListComp | ast.DictComp | ast.SetComp | ast.GeneratorExp):
            loops = list(parent.generators)
        elif isinstance(parent, ast.For) and below is not parent.iter:
            loops = [parent]
        for loop in loops:
            names = {n.id for n in ast.walk(loop.target) if isinstance(n, ast.Name)}
            if item.id in names:
                return _walks_state(loop.iter)
        if isinstance(parent, ast.FunctionDef | ast.Lambda):
            return False
        below = parent
    return False


def _walks_state(source: ast.expr) -> bool:
    """``model.state_dict().items()`` and its kin."""
    return any(
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "state_dict"
        for node in ast.walk(source)
    )
