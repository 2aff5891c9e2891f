"""When the host reads what a line downloaded, as far as the source shows it.

The value of a download goes on through names, views, containers and ``.numpy()``; a *read* is what
needs its numbers: arithmetic, a comparison, printing, ``.item()``, a call of torch or NumPy.  Only
what runs in the same turn of the same loop, after the download, is looked at.
"""

from __future__ import annotations

import ast
import copy
import enum
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from placeaudit.analyze.callsite import CallSite
from placeaudit.analyze.source import ParsedFile, end, start

__all__ = ["Read", "Reading", "reading_after", "waiting_calls"]

#: Methods and attributes that hand on the same memory.
_VIEWS: Final = frozenset(
    {
        "numpy", "detach", "view", "reshape", "squeeze", "unsqueeze", "flatten", "T", "mT",
        "transpose", "permute", "contiguous", "cpu", "data", "t", "expand", "narrow", "select",
        "unbind", "chunk", "split", "values", "items", "get",
    }
)  # fmt: skip
#: Attributes and methods that do not look at the values.
_METADATA: Final = frozenset(
    {
        "shape", "size", "dim", "ndim", "numel", "dtype", "device", "element_size", "is_pinned",
        "nbytes", "stride", "layout", "requires_grad", "requires_grad_", "keys", "data_ptr",
        # These stay in the order of the stream, or write instead of reading.
        "to", "cuda", "copy_", "zero_", "fill_", "record_stream", "pin_memory", "share_memory_",
        "append", "extend", "update", "add", "clear", "pop", "put",
    }
)  # fmt: skip
_READERS: Final = frozenset(
    {
        "print", "float", "int", "bool", "str", "repr", "format", "sum", "max", "min", "sorted",
        "list", "tuple", "any", "all", "round", "abs", "set", "enumerate",
    }
)  # fmt: skip
_FRAMEWORKS: Final = frozenset({"torch", "numpy", "np", "math", "scipy", "sklearn", "statistics"})
#: Calls after which a download may have been waited for, although no wait is recorded.
_WAITING: Final = frozenset(
    {"synchronize", "query", "result", "join", "wait", "acquire", "get", "barrier"}
)
_CONTAINERS: Final = (ast.Tuple, ast.List, ast.Dict, ast.Set, ast.Starred, *(
    ast.ListComp, ast.DictComp, ast.SetComp, ast.GeneratorExp,
))  # fmt: skip
_DEEPEST: Final = 12


class Reading(enum.Enum):
    """What the source says about reads of a downloaded value."""

    #: Read in the same turn; ``Read.node`` is the expression.
    HERE = "here"
    #: All uses are visible, and none of them reads it in the same turn.
    NEVER = "never"
    #: It is returned, stored, or handed to a function: nobody knows.
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Read:
    """The first read of a downloaded value; ``certain`` if it runs whenever the download does."""

    reading: Reading
    node: ast.AST | None = None
    certain: bool = False


_UNKNOWN: Final = Read(Reading.UNKNOWN)
_NEVER: Final = Read(Reading.NEVER)


def reading_after(site: CallSite) -> Read:
    """The first read of what the expression at ``site`` downloaded."""
    walk = _Walk(site.file, site.node)
    node = site.node
    func = node.func if isinstance(node, ast.Call) else None
    if isinstance(func, ast.Attribute) and func.attr == "copy_":
        # The values go into the tensor that is written to.
        target = func.value
        while isinstance(target, ast.Subscript):
            target = target.value
        if isinstance(target, ast.Attribute):
            return walk.held(func.value)
        return walk.written(target) if isinstance(target, ast.Name) else _UNKNOWN
    return walk.up(node, 0)


class _Walk:
    """One walk up from a download; remembers the names it has been through."""

    def __init__(self, file: ParsedFile, origin: ast.AST) -> None:
        self._file = file
        self._origin = origin
        self._loop = file.loop(origin)
        self._scope = file.scope(origin)
        self._seen: set[str] = set()

    def up(self, node: ast.AST, depth: int) -> Read:  # noqa: C901, PLR0911, PLR0912 (a table)
        """The first read of the value of ``node``."""
        parent = self._file.parents.get(node)
        if parent is None or depth > _DEEPEST:
            return _UNKNOWN
        match parent:
            case ast.Attribute(attr=attr):
                return self._attribute(parent, attr, depth)
            case ast.Subscript(value=value) if value is node:
                return _NEVER if isinstance(parent.ctx, ast.Store) else self.up(parent, depth + 1)
            case ast.BinOp() | ast.Compare() | ast.UnaryOp() | ast.BoolOp() | ast.AugAssign():
                return self._read(parent)
            case ast.FormattedValue() | ast.Assert() | ast.Subscript():
                return self._read(parent)
            case ast.If(test=test) | ast.While(test=test) | ast.IfExp(test=test) if test is node:
                return self._read(node)
            case ast.Call():
                return self._argument(parent, depth)
            case ast.keyword():
                call = self._file.parents[parent]
                return self._argument(call, depth) if isinstance(call, ast.Call) else _UNKNOWN
            case ast.Assign(targets=targets):
                return _first([self._target(t, depth) for t in targets])
            case ast.AnnAssign(target=target) | ast.NamedExpr(target=target):
                return self._target(target, depth)
            case ast.Expr() | ast.Delete():
                return _NEVER
            case ast.IfExp() | ast.comprehension():
                return _UNKNOWN
        if isinstance(parent, _CONTAINERS):
            return self.up(parent, depth + 1)
        return _UNKNOWN

    def _attribute(self, parent: ast.Attribute, attr: str, depth: int) -> Read:
        call = self._file.parents.get(parent)
        called = isinstance(call, ast.Call) and call.func is parent
        if attr in _METADATA:
            return _NEVER
        if attr in _VIEWS:
            return self.up(call if called and call is not None else parent, depth + 1)
        return self._read(call) if called and call is not None else _UNKNOWN

    def _argument(self, call: ast.Call, depth: int) -> Read:
        name = self._file.dotted(call.func)
        top, _, last = name.partition(".")
        if isinstance(call.func, ast.Attribute):
            last = call.func.attr
        if name in {"len", "id", "type", "isinstance"}:
            return _NEVER
        if name in {"zip", "dict", "reversed", "iter"} or name.endswith(("asarray", "from_numpy")):
            return self.up(call, depth + 1)
        if name in _READERS or top in _FRAMEWORKS:
            return self._read(call)
        return _NEVER if last == "copy_" else _UNKNOWN

    def _target(self, target: ast.expr, depth: int) -> Read:
        if isinstance(target, ast.Tuple | ast.List):
            return _first([self._target(t, depth) for t in target.elts])
        return self.name(target, depth) if isinstance(target, ast.Name) else _UNKNOWN

    def written(self, name: ast.Name) -> Read:
        """The first read of a tensor that was there before and is written to."""
        file, scope = self._file, self._scope
        stored = any(
            not isinstance(n.ctx, ast.Load) for n in file.occurrences(scope, name.id)
        ) and not file.parameter(scope, name.id)
        found = self.name(name, 0)
        # Somebody else's tensor: what is not seen here may be read there.
        known = stored and not self._handed_out(name)
        return found if known or found.reading is Reading.HERE else _UNKNOWN

    def _handed_out(self, name: ast.Name) -> bool:
        """Whether the tensor was given to somebody before (``parameter.grad = buffer``)."""
        uses = self._file.occurrences(self._scope, name.id)
        before = [n for n in uses if isinstance(n.ctx, ast.Load) and n is not name]
        return any(
            self.up(use, 1).reading is Reading.UNKNOWN
            for use in before
            if self._file.order(use) < self._file.order(name)
        )

    def held(self, target: ast.expr) -> Read:
        """The first read of a tensor that an object holds: ``self.buffer``, ``self.slots[i]``.

        Only the same expression is the same tensor; others may read it too.
        """
        file, text = self._file, ast.dump(_loaded(target))
        for use in sorted(ast.walk(self._scope), key=start):
            if not isinstance(use, ast.Attribute | ast.Subscript) or ast.dump(use) != text:
                continue
            if start(use) < end(self._origin) or file.scope(use) is not self._scope:
                continue
            if file.loop(use) is self._loop or self._inside(use):
                read = self.up(use, 1)
                if read.reading is Reading.HERE:
                    return read
        return _UNKNOWN

    def name(self, name: ast.Name, depth: int) -> Read:
        """The first read of a local name in the same turn, until it is assigned again."""
        file = self._file
        if name.id in self._seen or file.escapes(self._scope, name.id):
            return _UNKNOWN
        self._seen.add(name.id)
        if isinstance(self._scope, ast.Module) and any(
            isinstance(node, ast.Global) and name.id in node.names for node in file.parents
        ):
            return _UNKNOWN
        begin = max(file.order(name), end(self._origin))
        found = []
        for use in file.occurrences(self._scope, name.id):
            if file.order(use) < begin or use is name:
                continue
            if not isinstance(use.ctx, ast.Load):
                if file.loop(use) is self._loop:
                    break
                continue
            # Later turns of the loop, and what comes after it, are not "at once".
            if file.loop(use) is self._loop or self._inside(use):
                found.append(self.up(use, depth + 1))
        return _first(found)

    def _inside(self, node: ast.AST) -> bool:
        """Whether ``node`` runs within a turn of the download's loop."""
        return self._loop is None or any(parent is self._loop for parent in self._file.above(node))

    def _read(self, node: ast.AST) -> Read:
        return Read(Reading.HERE, node, certain=self._always(node))

    def _always(self, node: ast.AST) -> bool:
        """Whether ``node`` runs whenever the download has: same block, no jump in between."""
        file = self._file
        first, statement = file.statement(self._origin), file.statement(node)
        if first is None or statement is None:
            return False
        for parent in file.above(node):
            if parent is statement:
                break
            if isinstance(parent, ast.IfExp | ast.BoolOp | ast.Lambda):
                return False
        if first is statement:
            return True
        block = _block(file, first)
        if statement not in block:
            return False
        between = block[block.index(first) : block.index(statement)]
        return not any(
            isinstance(n, ast.Break | ast.Continue | ast.Return | ast.Raise)
            for s in between
            for n in ast.walk(s)
        )


def _loaded(node: ast.expr) -> ast.expr:
    """``node`` as it looks where it is read."""
    copied = copy.deepcopy(node)
    if isinstance(copied, ast.Attribute | ast.Subscript):
        copied.ctx = ast.Load()
    return copied


def _block(file: ParsedFile, statement: ast.stmt) -> list[ast.stmt]:
    """The statements that ``statement`` stands among."""
    parent = file.parents[statement]
    for name in ("body", "orelse", "finalbody"):
        block = getattr(parent, name, None)
        if isinstance(block, list) and statement in block:
            return block
    return [statement]


def _first(reads: list[Read]) -> Read:
    """The earliest read; where there is none, NEVER only if every use is known."""
    here = [read for read in reads if read.reading is Reading.HERE and read.node is not None]
    if here:
        return min(here, key=lambda read: start(read.node) if read.node else (0, 0))
    return _UNKNOWN if any(read.reading is Reading.UNKNOWN for read in reads) else _NEVER


def waiting_calls(file: ParsedFile, first: ast.AST, last: ast.AST) -> Iterator[ast.Call]:
    """Calls between two expressions of one function that may wait without a record of it."""
    scope = file.scope(first)
    for node in ast.walk(scope):
        if not isinstance(node, ast.Call) or not end(first) <= start(node) <= start(last):
            continue
        attr = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        if attr in _WAITING:
            yield node
