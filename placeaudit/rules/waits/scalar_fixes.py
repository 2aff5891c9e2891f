"""What to do about a read of a device value, in the words of the program that makes it."""

from __future__ import annotations

import ast
from typing import Final

from placeaudit.analyze.callsite import CallSite
from placeaudit.analyze.source import LOOPS
from placeaudit.analyze.uses import Use, UseKind

__all__ = ["MOVES", "TEXTS", "read_fix"]

#: Methods that bring a tensor to the host as it is.
MOVES: Final = frozenset({"cpu", "to", "numpy", "copy_"})
#: Functions that make a text of a tensor.
TEXTS: Final = frozenset({"str", "repr", "format"})
#: Functions that take a value from the tensor they are given.
_TAKE: Final = TEXTS | {"float", "int", "bool", "complex", "print"}

_RARELY: Final = "print every N steps only: `if step % 100 == 0:`"
_PLAIN: Final = {
    UseKind.ASSERTED: "check every N steps only, or use `torch._assert_async(condition)`",
    UseKind.BRANCH: (
        "decide on the device (`torch.where`, a mask, a multiplication), or test every N steps only"
    ),
    UseKind.DISCARDED: "remove the read: nothing uses its value",
    UseKind.NEEDED: "if it is not needed in each step, read it every N steps only",
    UseKind.INDEX: "if it is not needed in each step, read it every N steps only",
    UseKind.UNKNOWN: (
        "keep the value on the device (`.detach()`), and read it every N steps or once after the "
        "loop"
    ),
}


def read_fix(call: CallSite | None, use: Use) -> str:
    """The advice for a read at ``call`` whose value goes where ``use`` says."""
    tensor = _detached(call)
    match use.kind:
        case UseKind.ACCUMULATED:
            return _total_fix(call, tensor)
        case UseKind.PRINTED:
            return _print_fix(call, use, tensor)
        case UseKind.RETURNED:
            return _return_fix(call, tensor)
        case UseKind.FRAMEWORK:
            return f"pass {tensor} instead of the number: the framework takes tensors"
        case kind:
            return _PLAIN[kind]


def _detached(call: CallSite | None) -> str:
    """The tensor that is read, off the graph: `` `loss.detach()` `` for ``float(loss)``."""
    node = call.node if call is not None else None
    text = ""
    if call is not None and isinstance(node, ast.Call):
        if isinstance(node.func, ast.Attribute) and node.func.attr in MOVES | {"item", "tolist"}:
            text = call.file.quote(node.func.value)
        elif len(node.args) == 1 and call.file.dotted(node.func) in _TAKE:
            text = call.file.quote(node.args[0])
    if not text:
        return "the tensor, detached,"
    return f"`{text}`" if text.endswith(".detach()") else f"`{text}.detach()`"


def _total_fix(call: CallSite | None, tensor: str) -> str:
    statement = call.file.statement(call.node) if call else None
    if call and isinstance(statement, ast.AugAssign) and isinstance(statement.op, ast.Add):
        total = call.file.quote(statement.target)
        added = call.file.quote(statement.value)
        read = call.file.quote(call.node)
        if read in added and tensor.startswith("`"):
            kept = added.replace(read, tensor.strip("`"))
            when = _when_read(call, statement)
            return f"keep the total on the device, `{total} += {kept}`, and read it {when}"
    return (
        f"keep {tensor} and read all of them once after the loop, e.g. "
        "`torch.stack(values).tolist()`"
    )


def _when_read(call: CallSite, statement: ast.AugAssign) -> str:
    """When the total has to be read: after the loop, unless the loop itself uses it."""
    file, total = call.file, ast.unparse(statement.target)
    loop = file.loop(statement)
    inside = set(ast.walk(statement))
    uses = [
        node
        for node in (ast.walk(loop) if loop is not None else ())
        if isinstance(node, ast.Name | ast.Attribute)
        and isinstance(node.ctx, ast.Load)
        and node not in inside
        and ast.unparse(node) == total
    ]
    if not uses:
        return "once after the loop"
    first = min(uses, key=lambda node: node.lineno)
    if _interval(CallSite(file, first)) is not None:
        return f"at line {first.lineno} only"
    return f"at line {first.lineno}, every N steps only"


def _print_fix(call: CallSite | None, use: Use, tensor: str) -> str:
    if call is None:
        return _RARELY
    shown = f" (`{use.by}`)" if use.by else ""
    if isinstance(call.file.statement(call.node), ast.Return):
        if _makes_text(call):
            return _return_fix(call, tensor)
        return f"return {tensor} and read it where it is printed{shown}, every N steps only"
    interval = _interval(call)
    if interval is not None:
        return f"raise the interval in `{call.file.quote(interval)}`"
    if not any(
        call.file.quote(node) == use.by for node in (call.node, *call.file.above(call.node))
    ):
        return (
            f"{_left_there(call, tensor)} and read it where it is printed{_shown_when(call, use)}"
        )
    return _RARELY


def _left_there(call: CallSite, tensor: str) -> str:
    """The assignment without its read: ``ema = 0.9 * ema + 0.1 * loss.detach()``."""
    statement = call.file.statement(call.node)
    written = call.file.quote(statement) if isinstance(statement, ast.Assign) else ""
    read = call.file.quote(call.node)
    if written.count(read) == 1 and not written.endswith("…") and tensor.startswith("`"):
        return f"leave it on the device, `{written.replace(read, tensor.strip('`'))}`,"
    return f"keep {tensor}"


def _shown_when(call: CallSite, use: Use) -> str:
    """Which print that is, and how often: an interval that guards it already will do."""
    printed = next(
        (n for n in ast.walk(call.file.scope(call.node)) if call.file.quote(n) == use.by), None
    )
    if printed is not None and _interval(CallSite(call.file, printed)) is not None:
        return f" (`{use.by}`) only"
    return f" (`{use.by}`), every N steps only" if use.by else ", every N steps only"


def _return_fix(call: CallSite | None, tensor: str) -> str:
    if _makes_text(call):
        return "make this text every N steps only: it reads each device value that it shows"
    return f"return {tensor} and let the caller read it when it needs the number"


def _interval(call: CallSite) -> ast.expr | None:
    """The condition of the ``if step % interval == 0:`` around it in the innermost loop."""
    for node in call.file.above(call.node):
        if isinstance(node, (*LOOPS, ast.FunctionDef, ast.AsyncFunctionDef)):
            return None
        if isinstance(node, ast.If) and any(map(_is_interval, ast.walk(node.test))):
            return node.test
    return None


def _is_interval(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Compare)
        and isinstance(node.left, ast.BinOp)
        and isinstance(node.left.op, ast.Mod)
    )


def _makes_text(call: CallSite | None) -> bool:
    """``"{:.3f}".format(loss)``, an f-string: the read is of the text, not of the tensor."""
    node = call.node if call is not None else None
    if isinstance(node, ast.FormattedValue | ast.JoinedStr):
        return True
    if call is None or not isinstance(node, ast.Call):
        return False
    if isinstance(node.func, ast.Attribute) and node.func.attr == "format":
        return True
    return call.file.dotted(node.func) in TEXTS
