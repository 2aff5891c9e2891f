"""PA306: a move that moves nothing."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from placeaudit.analyze.audit import H2D
from placeaudit.analyze.callsite import call_site
from placeaudit.analyze.columns import distinct
from placeaudit.analyze.source import COMPREHENSIONS, FUNCTIONS, LOOPS, ParsedFile, end, start
from placeaudit.model import Certainty, Evidence, Finding, Frame, Severity
from placeaudit.rules.facts import Facts

__all__ = ["RedundantMove"]

_JUMPS: Final = (ast.Break, ast.Continue, ast.Return, ast.Raise, ast.Yield, ast.YieldFrom)
#: Parts of a statement that need not run when it does.
_MAYBE: Final = (ast.IfExp, ast.BoolOp, ast.Lambda, *COMPREHENSIONS)
#: Statements that run all that stands in them.
_PLAIN: Final = (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Expr, ast.Return)
_DEFINITIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
#: A line counts as running in the steps if it was seen in this share of them.
_MOST: Final = 0.5

Position = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Move:
    """``x.to(device)`` in the source; ``target`` is the device as it is written."""

    node: ast.Call
    target: str


class RedundantMove:
    """A ``.to()``, ``.cpu()`` or ``.cuda()`` in the steps that moves nothing.

    What it does
        Finds moves in the program's source that run in the steps, since events were recorded in the
        same straight line of statements, and yet made no copy in the whole run: the tensor was
        there already.  A move that makes no copy reaches no kernel of the recorder, and a patch on
        ``Tensor.to`` would cost every program a microsecond a call; so this is read, not measured.

    Why it costs
        Nothing but the call itself, about a microsecond.  But it hides where a tensor lives.

    Example:
        ::

            x = x.to(device)
            mask = (x > 0).to(device)

    Use instead
        ::

            x = x.to(device)
            mask = x > 0

    When it is fine
        In code that is handed tensors from anywhere.
    """

    code = "PA306"
    name = "redundant-move"
    severity = Severity.INFO

    def check(self, facts: Facts) -> Iterable[Finding]:
        """One finding for each such expression."""
        # In a compiled function a move may happen where no line of the program is executing.
        unobserved = any(note.rule == "PA902" for note in facts.audit.notes)
        if unobserved or not len(facts.audit.steps):
            return
        seen = _seen(facts)
        devices = _known_devices(facts)
        called = _called_modules(facts)
        for path, regular in _regular(facts).items():
            file = facts.sources.file(path)
            if file is None:
                continue
            running = _running(file, regular, called)
            for move in _moves(file):
                begin, finish = start(move.node), end(move.node)
                if any(begin <= place < finish for place in seen[path]):
                    continue
                if not _is_device(move.target, devices[path]):
                    continue
                if _runs(file, move.node, regular, running):
                    yield self._finding(file, path, move)

    def _finding(self, file: ParsedFile, path: str, move: _Move) -> Finding:
        node = move.node
        func = node.func
        assert isinstance(func, ast.Attribute)
        subject = file.quote(func.value)
        (line, col), (end_line, _) = start(node), end(node)
        holder = next((p for p in file.above(node) if isinstance(p, FUNCTIONS)), None)
        return Finding(
            rule=self.code,
            name=self.name,
            severity=Severity.INFO,
            certainty=Certainty.LIKELY,
            message=(
                f"`{file.quote(node)}` runs in the steps and moves nothing: `{subject}` is there "
                "already"
            ),
            fix=f"use `{subject}` as it is",
            file=path,
            line=line,
            end_line=end_line,
            col=col,
            function=getattr(holder, "name", "<module>"),
            count=1,
            evidence=(
                Evidence("no-copy", "no copy was recorded at this expression in the whole run"),
            ),
        )


def _seen(facts: Facts) -> dict[str, set[Position]]:
    """By file: where expressions begin at which anything was recorded, in any frame of a stack.

    Where they end is not asked: another Python may have recorded other columns.
    """
    found: dict[str, set[Position]] = defaultdict(set)
    for stack in facts.audit.stacks:
        for frame in stack:
            if not frame.package:
                found[frame.file].add((frame.line, frame.col))
    return found


def _regular(facts: Facts) -> dict[str, set[Position]]:
    """By file: where expressions begin at which something was recorded in most steps."""
    audit = facts.audit
    found: dict[str, set[Position]] = defaultdict(set)
    least = _MOST * len(audit.steps)
    for events in (audit.copies, audit.waits.alone):
        for group in facts.groups(events, np.flatnonzero(events.steady & (events.backward == 0))):
            user = group.site.user
            if user is None or len(distinct(events.step[group.rows])) < least:
                continue
            found[user.file].add((user.line, user.col))
            for stack in distinct(events.stack[group.rows]).tolist():
                loop = _loop_fed(facts, audit.stacks[stack] if stack >= 0 else (), user)
                if loop is not None:
                    found[loop[0]].add(loop[1])
    return found


def _loop_fed(facts: Facts, stack: tuple[Frame, ...], user: Frame) -> tuple[str, Position] | None:
    """File and first statement of the loop that takes what a generator yields at ``user``.

    Where nothing else runs between the event and the ``yield``, each event is a turn of that loop.
    """
    file = facts.sources.file(user.file)
    call = call_site(facts.sources, user)
    outer = stack[stack.index(user) + 1 :] if user in stack else ()
    if file is None or call is None or not outer or outer[0].package:
        return None
    statement, taker = file.statement(call.node), facts.sources.file(outer[0].file)
    if statement is None or taker is None or not any(map(_yields, _following(file, statement))):
        return None
    at = (outer[0].line, outer[0].col)
    return next(
        (
            (outer[0].file, start(loop.body[0]))
            for loop in taker.parents
            # Which of the two is the place of a turn depends on the version of Python.
            if isinstance(loop, ast.For | ast.AsyncFor) and at in {start(loop), start(loop.iter)}
        ),
        None,
    )


def _following(file: ParsedFile, statement: ast.stmt) -> Iterator[ast.stmt]:
    """``statement`` and what runs after it in its block."""
    holder = file.parents[statement]
    for name in ("body", "orelse", "finalbody"):
        block = getattr(holder, name, None)
        if isinstance(block, list) and statement in block:
            for other in block[block.index(statement) :]:
                yield other
                if _jumps(other):
                    return


def _yields(statement: ast.stmt) -> bool:
    """Whether it yields whenever it runs."""
    value = getattr(statement, "value", None)
    return isinstance(statement, _PLAIN) and isinstance(value, ast.Yield)


def _known_devices(facts: Facts) -> dict[str, set[str]]:
    """By file: how the program writes an accelerator, as its recorded uploads show."""
    copies = facts.audit.copies
    found: dict[str, set[str]] = defaultdict(set)
    for group in facts.groups(copies, np.flatnonzero(copies.direction == H2D)):
        call = facts.call(group.index)
        user = group.site.user
        if call is not None and user is not None and isinstance(call.node, ast.Call):
            found[user.file].add(_target(call.node))
    return found


def _target(call: ast.Call) -> str:
    """The device that a move names, as it is written; "" where it names none."""
    attr = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    if attr in {"cpu", "cuda"}:
        return attr
    if attr != "to":
        return ""
    named = next((k.value for k in call.keywords if k.arg == "device"), None)
    first = named or (call.args[0] if call.args else None)
    return ast.unparse(first) if first is not None else ""


def _is_device(target: str, known: set[str]) -> bool:
    """Whether it surely names a device: one that an upload used, or one by its own name."""
    if not target:
        return False
    plain = target.strip("'\"")
    return target in known or plain == "cpu" or plain.split(":")[0] == "cuda"


def _moves(file: ParsedFile) -> Iterator[_Move]:
    for node in file.parents:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            target = _target(node)
            # With more than the device, a dtype for one, it may do something else.
            extra = [k for k in node.keywords if k.arg not in {"device", "non_blocking"}]
            if target and not extra and len(node.args) <= 1:
                yield _Move(node, target)


def _called_modules(facts: Facts) -> set[str]:
    """Classes of which a module was called, from outside any other, in most steps."""
    audit = facts.audit
    spans = audit.spans
    kinds = [i for i, text in enumerate(audit.strings) if text == "module"]
    rows = np.flatnonzero(np.isin(spans.kind, kinds))
    found = set()
    for name in distinct(spans.name[rows]).tolist():
        mine = rows[spans.name[rows] == name]
        if len(distinct(spans.step[mine])) >= _MOST * len(audit.steps):
            found.add(audit.text(name))
    return found


def _running(file: ParsedFile, regular: set[Position], called: set[str]) -> set[ast.AST]:
    """Functions of the file that run in most steps, although nothing was recorded in them.

    The ``forward`` of modules that were called, and what is called by its plain name, or on
    ``self``, where it is known to run.
    """
    running: set[ast.AST] = {
        function
        for function in file.functions.get("forward", [])
        if getattr(file.parents[function], "name", "") in called
    }
    rebound = _bound_otherwise(file)
    calls = [
        (node, functions[0])
        for node in file.parents
        if isinstance(node, ast.Call)
        and (name := _plain_name(node)) not in rebound
        and len(functions := file.functions.get(name, [])) == 1
    ]
    while True:
        more = {
            function
            for node, function in calls
            if function not in running and _runs(file, node, regular, running)
        }
        if not more:
            return running
        running |= more


def _bound_otherwise(file: ParsedFile) -> set[str]:
    """Names that something else than a definition gives a value: which one runs is not known."""
    found = set()
    for node in file.parents:
        match node:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                found.add(name)
            case ast.Attribute(attr=name, ctx=ast.Store() | ast.Del()) | ast.arg(arg=name):
                found.add(name)
            case ast.alias(name=name, asname=other):
                found.add(other or name)
    return found


def _plain_name(call: ast.Call) -> str:
    match call.func:
        case ast.Name(id=name) | ast.Attribute(value=ast.Name(id="self"), attr=name):
            return name
    return ""


def _runs(file: ParsedFile, node: ast.Call, regular: set[Position], running: set[ast.AST]) -> bool:
    """Whether ``node`` runs in most steps: a statement of its own block is known to.

    Or it stands in the body of a function that is.
    """
    statement = file.statement(node)
    if not isinstance(statement, _PLAIN):
        return False
    if not any(isinstance(parent, (*LOOPS, *FUNCTIONS)) for parent in file.above(node)):
        return False
    for parent in file.above(node):
        if parent is statement:
            break
        if isinstance(parent, _MAYBE):
            return False
    holder = file.parents[statement]
    for name in ("body", "orelse", "finalbody"):
        block = getattr(holder, name, None)
        if not isinstance(block, list) or statement not in block:
            continue
        at = block.index(statement)
        if holder in running and not any(_jumps(s) for s in block[:at]):
            return True
        for index, other in enumerate(block):
            low, high = min(at, index), max(at, index)
            if any(_jumps(s) for s in block[low:high]):
                continue
            # A definition runs nothing of its body.
            seen = any(start(other) <= place < end(other) for place in regular)
            if seen and not isinstance(other, _DEFINITIONS):
                return True
    return False


def _jumps(statement: ast.stmt) -> bool:
    """Whether control may leave the block here."""
    return any(isinstance(n, _JUMPS) for n in ast.walk(statement))
