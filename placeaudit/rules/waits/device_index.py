"""Whether a number that the host read is used as an index into a tensor on the device.

The device can index by a tensor of its own: such a read need not be.  The source says that what is
indexed is an array; the operation window says that it lives on the device.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

import numpy as np

from placeaudit.analyze.callsite import CallSite
from placeaudit.analyze.lineage import VIEWS
from placeaudit.analyze.source import ParsedFile
from placeaudit.rules.facts import Facts, Group

__all__ = ["indexes_device"]

#: Operators that indexing with numbers and slices comes down to.
_VIEWS: Final = frozenset({"select", "slice", "narrow"})
#: Operations looked at after each read.
_MOST: Final = 32


def indexes_device(facts: Facts, group: Group, call: CallSite, index: ast.Subscript) -> bool:
    """Whether ``index``, by what ``call`` read, takes a part of a tensor on the device."""
    return (_slices(index) or _is_tensor(facts, call.file, index.value)) and _views_device(
        facts, group
    )


def _slices(index: ast.Subscript) -> bool:
    """``x[:, i : i + n]``: no list and no dict is indexed so."""
    return isinstance(index.slice, ast.Tuple) and any(
        isinstance(part, ast.Slice) for part in index.slice.elts
    )


def _is_tensor(facts: Facts, file: ParsedFile, base: ast.expr) -> bool:
    """Whether ``base`` is indexed by a tensor of several elements in the same function."""
    if not isinstance(base, ast.Name):
        return False
    scope = file.scope(base)
    tensors = set(_tensors(facts, file, scope))
    return any(
        isinstance(use := file.parents[name], ast.Subscript)
        and use.value is name
        and isinstance(use.slice, ast.Name)
        and use.slice.id in tensors
        for name in file.occurrences(scope, base.id)
    )


def _tensors(facts: Facts, file: ParsedFile, scope: ast.AST) -> Iterator[str]:
    """Names in ``scope`` that are indexed where the record saw a device tensor read or masked."""
    for site in range(len(facts.audit.sites)):
        call = facts.call(site)
        if call is None or call.file is not file or file.scope(call.node) is not scope:
            continue
        for node in ast.walk(call.node):
            if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
                yield node.value.id
                break


def _views_device(facts: Facts, group: Group) -> bool:
    """Whether, in the window, parts of device tensors, and of no others, are taken after a read."""
    audit, operations = facts.audit, facts.audit.operations
    reads = np.flatnonzero(np.isin(operations.copy, group.rows))
    names = [i for i, text in enumerate(audit.strings) if text in _VIEWS]
    views = np.isin(operations.name, names) & (operations.kind == VIEWS)
    for begin, after in zip(reads.tolist(), [*reads[1:].tolist(), len(operations)], strict=True):
        found = begin + 1 + np.flatnonzero(views[begin + 1 : min(after, begin + _MOST)])
        taken = operations.use_device[operations.first_use[found]]
        devices = {audit.text(device) for device in np.unique(taken).tolist()}
        if not devices or "cpu" in devices:
            return False
    return len(reads) > 0
