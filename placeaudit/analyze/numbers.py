"""Whether an expression is a plain number, or can be one: what host arithmetic is made with.

A tensor that a factory made stays one after arithmetic with numbers.  Mixed with another tensor it
is data, so what may be a tensor must be told from what may only be a number.
"""

from __future__ import annotations

import ast
from typing import Final

from placeaudit.analyze.source import FUNCTIONS, ParsedFile

__all__ = ["is_literal", "is_number", "may_be_number"]

_NUMBER_CALLS: Final = frozenset(
    {"len", "int", "float", "min", "max", "abs", "round", "range", "sum", "time.time"}
)
_NUMBER_MODULES: Final = ("math.", "random.")
#: Attributes and methods of a tensor that are numbers themselves.
_NUMBER_MEMBERS: Final = frozenset({"size", "numel", "dim", "ndim", "item", "element_size"})
_NUMBER_TYPES: Final = frozenset({"int", "float", "bool", "complex"})
#: Iterables that hand out numbers (``enumerate``: its first target only).
_COUNTERS: Final = frozenset({"range", "tqdm", "trange", "tqdm.tqdm", "tqdm.trange", "count"})
_DEEPEST: Final = 6


def is_literal(node: ast.expr) -> bool:
    """A constant, or a list, tuple or sum of constants."""
    if isinstance(node, ast.Constant):
        return not isinstance(node.value, str)
    if isinstance(node, ast.UnaryOp):
        return is_literal(node.operand)
    if isinstance(node, ast.BinOp):
        return is_literal(node.left) and is_literal(node.right)
    return isinstance(node, ast.List | ast.Tuple) and all(map(is_literal, node.elts))


def is_number(file: ParsedFile, node: ast.expr) -> bool:  # noqa: PLR0911 (a table)
    """Surely a number, not a tensor."""
    if is_literal(node):
        return True
    match node:
        case ast.Call(func=func):
            name = file.dotted(func)
            if name in _NUMBER_CALLS or name.startswith(_NUMBER_MODULES):
                return True
            return isinstance(func, ast.Attribute) and func.attr in _NUMBER_MEMBERS
        case ast.Attribute(attr=attr):
            return attr in _NUMBER_MEMBERS
        case ast.Subscript(value=ast.Attribute(attr="shape")):
            return True
        case ast.BinOp(left=left, right=right):
            return is_number(file, left) and is_number(file, right)
    return False


def may_be_number(  # noqa: PLR0911 (a table)
    file: ParsedFile, node: ast.expr, *, scaling: bool, depth: int = 0
) -> bool:
    """Whether nothing speaks for a tensor.

    ``scaling`` is True where ``node`` multiplies, divides or bounds: what nothing is known of is
    then taken for a number, while what is added to noise is more often a tensor.
    """
    if is_number(file, node):
        return True
    match node:
        case ast.Name():
            return _name(file, node, scaling=scaling, depth=depth)
        case ast.Attribute(value=ast.Name(id=holder)):
            # `args.std`, `cfg.eps`; `self.mean` may be anything.
            return scaling or holder not in {"self", "cls"}
        case ast.Subscript(slice=ast.Constant(value=str())):
            return scaling
        case ast.UnaryOp(operand=operand):
            return may_be_number(file, operand, scaling=scaling, depth=depth)
        case ast.BinOp(left=left, right=right):
            return all(
                may_be_number(file, side, scaling=scaling, depth=depth) for side in (left, right)
            )
    return False


def _name(file: ParsedFile, name: ast.Name, *, scaling: bool, depth: int) -> bool:
    scope = file.scope(name)
    names = file.occurrences(scope, name.id)
    if any(_used_as_tensor(file, use) for use in names) or depth > _DEEPEST:
        return False
    stores = [
        n for n in names if not isinstance(n.ctx, ast.Load) and file.order(n) <= file.order(name)
    ]
    if stores:
        return _stored(file, stores[-1], scaling=scaling, depth=depth)
    declared = _declared(scope, name.id)
    return scaling if declared is None else declared


def _used_as_tensor(file: ParsedFile, name: ast.Name) -> bool:
    """``x.shape``, ``x[0]``, ``len(x)``: no number has these."""
    parent = file.parents[name]
    if isinstance(parent, ast.Attribute | ast.Subscript):
        return parent.value is name
    return isinstance(parent, ast.Call) and file.dotted(parent.func) == "len"


def _stored(file: ParsedFile, store: ast.Name, *, scaling: bool, depth: int) -> bool:
    """Whether the value that ``store`` binds may be a number."""
    holder = file.parents[store]
    if isinstance(holder, ast.Assign) and holder.targets == [store]:
        return may_be_number(file, holder.value, scaling=scaling, depth=depth + 1)
    if isinstance(holder, ast.AnnAssign):
        return isinstance(holder.annotation, ast.Name) and holder.annotation.id in _NUMBER_TYPES
    if isinstance(holder, ast.AugAssign):
        return scaling
    first = isinstance(holder, ast.Tuple) and holder.elts[0] is store
    loop = file.parents[holder] if isinstance(holder, ast.Tuple) else holder
    if not isinstance(loop, ast.For | ast.AsyncFor | ast.comprehension):
        return False
    made = file.dotted(loop.iter.func) if isinstance(loop.iter, ast.Call) else ""
    return (made == "enumerate" and first) or (made in _COUNTERS and holder is not loop.iter)


def _declared(scope: ast.AST, name: str) -> bool | None:
    """What a parameter's annotation or default says; None where it says nothing."""
    if not isinstance(scope, FUNCTIONS):
        return None
    args = scope.args
    named = [*args.posonlyargs, *args.args]
    defaults: list[ast.expr | None] = [None] * (len(named) - len(args.defaults))
    defaults += args.defaults
    for arg, default in (
        *zip(named, defaults, strict=True),
        *zip(args.kwonlyargs, args.kw_defaults, strict=True),
    ):
        if arg.arg != name:
            continue
        if isinstance(arg.annotation, ast.Name | ast.Attribute):
            return isinstance(arg.annotation, ast.Name) and arg.annotation.id in _NUMBER_TYPES
        if default is not None and is_literal(default):
            return not (isinstance(default, ast.Constant) and default.value is None)
    return None
