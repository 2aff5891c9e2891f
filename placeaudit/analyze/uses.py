"""What the program does with a value it read from the device.

From the reading expression upwards, through names and through functions of the same file, until
something tells: it is added up, printed, tested, handed to the framework, or needed by a call that
is not the framework's.
"""

from __future__ import annotations

import ast
import enum
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from placeaudit.analyze.callsite import CallSite
from placeaudit.analyze.source import ParsedFile

__all__ = ["Use", "UseKind", "use_along", "use_of"]


class UseKind(enum.IntEnum):
    """What becomes of a value; the higher, the more it decides when a value has several uses."""

    UNKNOWN = 0
    DISCARDED = 1
    #: Added to a total, appended to a list, stored in an attribute: read later or never.
    ACCUMULATED = 2
    RETURNED = 3
    #: ``print``, logging, a progress bar, an f-string that goes to one.
    PRINTED = 4
    #: Goes back into the framework, which would take the tensor.
    FRAMEWORK = 5
    ASSERTED = 6
    #: Decides an ``if`` that only computes.
    BRANCH = 7
    #: An index, ``Use.index``: needed if what it indexes is the host's.
    INDEX = 8
    #: An environment's step, early stopping, a file: the host needs it.
    NEEDED = 9


@dataclass(frozen=True, slots=True)
class Use:
    """What becomes of the value; ``by`` is the expression or statement that takes it, quoted."""

    kind: UseKind
    by: str = ""
    index: ast.Subscript | None = None


_UNKNOWN: Final = Use(UseKind.UNKNOWN)

#: Calls whose result stands for the value itself.
_PASS: Final = frozenset(
    {
        "float", "int", "bool", "round", "abs", "min", "max", "sum", "str", "repr", "format",
        "len", "list", "tuple", "set", "dict", "sorted", "zip", "enumerate", "reversed", "iter",
        "any", "all", "isinstance", "pow", "divmod", "math", "np", "numpy", "statistics",
    }
)  # fmt: skip
_PRINTERS: Final = frozenset(
    {
        "print", "pprint", "debug", "info", "warning", "error", "critical", "exception",
        "set_postfix", "set_postfix_str", "set_description", "set_description_str",
        "tqdm.write",
    }
)  # fmt: skip
_LOG_METHODS: Final = frozenset({"log"})
_LOGGERS: Final = ("logging", "logger", "log", "_logger", "_log")
_KEEPERS: Final = frozenset(
    {"append", "extend", "add", "update", "insert", "appendleft", "setdefault", "put", "push"}
)
_FRAMEWORKS: Final = {
    "torch": ("torch", "torchvision", "torchaudio"),
    "tensorflow": ("tensorflow", "keras"),
}
#: Methods of tensors that take numbers and would take a tensor.
_TENSOR_METHODS: Final = frozenset(
    {
        "mul", "mul_", "div", "div_", "sub", "sub_", "add_", "pow_", "clamp", "clamp_", "fill_",
        "masked_fill", "masked_fill_", "new_full", "lerp", "lerp_", "addcmul_", "addcdiv_",
    }
)  # fmt: skip
_LEAVES: Final = (ast.Break, ast.Return)
_EXITS: Final = frozenset({"exit", "quit", "sys.exit", "os._exit"})
_DEEPEST: Final = 12


def use_of(site: CallSite, framework: str = "torch") -> Use:
    """What becomes of the value that the expression reads from ``framework``'s device."""
    return _Walk(site.file, framework).value(site.node, 0)


def use_along(sites: Iterable[CallSite | None], framework: str = "torch") -> Use:
    """As ``use_of``, on through the callers of a function that returns the value.

    ``sites`` are the expressions of a call stack, the reading one first.
    """
    use = _UNKNOWN
    for site in sites:
        above = use_of(site, framework) if site is not None else _UNKNOWN
        if use.kind is UseKind.RETURNED and above.kind is UseKind.UNKNOWN:
            break
        use = above
        if use.kind is not UseKind.RETURNED or site is None or _yields(site):
            break
    return use


def _yields(site: CallSite) -> bool:
    """Whether the function is a generator: its values go to a loop, not to the calling frame."""
    scope = site.file.scope(site.node)
    return any(isinstance(n, ast.Yield | ast.YieldFrom) for n in ast.walk(scope))


class _Walk:
    """One walk up from a read; remembers names and functions it has been through."""

    def __init__(self, file: ParsedFile, framework: str) -> None:
        self._file = file
        self._framework = _FRAMEWORKS[framework]
        self._seen: set[ast.AST] = set()

    def _use(self, kind: UseKind, node: ast.AST) -> Use:
        return Use(kind, self._file.quote(node))

    def value(self, node: ast.AST, depth: int) -> Use:
        """The use of the value of ``node``, itself perhaps the consumer (``print(loss)``)."""
        if isinstance(node, ast.Call) and self._prints(node):
            return self._use(UseKind.PRINTED, node)
        if isinstance(node, ast.Assert):
            return self._use(UseKind.ASSERTED, node)
        if isinstance(node, ast.If | ast.While):
            return self._test(node)
        if isinstance(node, ast.For | ast.AsyncFor):
            return _UNKNOWN
        if isinstance(node, ast.AugAssign):
            return self._use(UseKind.ACCUMULATED, node)
        return self._up(node, depth)

    def _up(self, node: ast.AST, depth: int) -> Use:  # noqa: C901, PLR0911, PLR0912
        parent = self._file.parents.get(node)
        if parent is None or depth > _DEEPEST or parent in self._seen:
            return _UNKNOWN
        match parent:
            case ast.Call(func=func) if func is not node:
                return self._argument(parent, node, depth)
            case ast.Call() if isinstance(self._file.parents.get(parent), ast.Expr):
                # `loss.backward()` of what was computed with the value; other objects do as much.
                backward = isinstance(node, ast.Attribute) and node.attr == "backward"
                return self._use(UseKind.FRAMEWORK, parent) if backward else _UNKNOWN
            case ast.keyword():
                call = self._file.parents[parent]
                return (
                    self._argument(call, parent, depth) if isinstance(call, ast.Call) else _UNKNOWN
                )
            case ast.Subscript(value=value) if value is not node:
                return Use(UseKind.INDEX, self._file.quote(parent), parent)
            case ast.If() | ast.While() if node is parent.test:
                return self._test(parent)
            case ast.Compare(ops=[ast.Is() | ast.IsNot()]):
                return self._use(UseKind.DISCARDED, parent)
            case ast.IfExp(test=test) if node is test:
                return self._use(UseKind.BRANCH, parent)
            case ast.comprehension():
                if node is parent.iter:
                    return _UNKNOWN
                return self._use(UseKind.BRANCH, parent)
            case ast.Assert():
                return self._use(UseKind.ASSERTED, parent)
            case ast.AugAssign():
                return self._use(UseKind.ACCUMULATED, parent)
            case ast.Assign(targets=targets):
                return self._worst(self._target(t, parent, depth) for t in targets)
            case ast.AnnAssign(target=target) | ast.NamedExpr(target=target):
                named = self._target(target, parent, depth)
                if isinstance(parent, ast.NamedExpr):
                    return self._worst([named, self._up(parent, depth + 1)])
                return named
            case ast.Return() | ast.Yield():
                return self._use(UseKind.RETURNED, parent)
            case ast.Expr():
                return self._use(UseKind.DISCARDED, parent)
            case ast.For() | ast.AsyncFor():
                return _UNKNOWN
            case ast.stmt():
                return _UNKNOWN
        return self._up(parent, depth + 1)

    # --- calls ---------------------------------------------------------------------------------

    def _prints(self, call: ast.Call) -> bool:
        name = self._file.dotted(call.func)
        last = call.func.attr if isinstance(call.func, ast.Attribute) else name
        if last in _LOG_METHODS:
            return name.split(".")[0].lower() in _LOGGERS
        return last in _PRINTERS or name in _PRINTERS

    def _argument(self, call: ast.Call, argument: ast.AST, depth: int) -> Use:  # noqa: PLR0911
        """The use of a value that is an argument of ``call``."""
        name = self._file.dotted(call.func)
        top, _, last = name.partition(".")
        if isinstance(call.func, ast.Attribute):
            last = call.func.attr
        if self._prints(call):
            return self._use(UseKind.PRINTED, call)
        if top in _PASS or last == "format":
            return self._up(call, depth + 1)
        if top in self._framework:
            if name in {"torch.save", "torch.manual_seed"}:
                return self._use(UseKind.NEEDED, call)
            return self._use(UseKind.FRAMEWORK, call)
        if isinstance(call.func, ast.Attribute) and last in _TENSOR_METHODS:
            return self._use(UseKind.FRAMEWORK, call)
        inside = self._callee(call, argument, depth)
        if inside is not None:
            return inside
        if last in _KEEPERS and isinstance(call.func, ast.Attribute):
            return self._use(UseKind.ACCUMULATED, call)
        return self._use(UseKind.NEEDED, call)

    def _callee(self, call: ast.Call, argument: ast.AST, depth: int) -> Use | None:
        """What a function or method of the same file does with it; None if it is not there."""
        method = isinstance(call.func, ast.Attribute)
        name = call.func.attr if isinstance(call.func, ast.Attribute) else None
        if isinstance(call.func, ast.Name):
            name = call.func.id
        if name is None or self._file.is_imported(call.func):
            return None
        found = self._file.functions.get(name, [])
        if len(found) != 1:
            return None
        function = found[0]
        parameter = _parameter(function, call, argument, skip_self=method)
        # A keyword that is no parameter is one of many in `**values`.
        known = parameter is not None and self._file.parameter(function, parameter)
        if parameter is None or not known or function in self._seen:
            return None
        self._seen.add(function)
        uses = [
            self._up(n, depth + 1)
            for n in self._file.occurrences(function, parameter)
            if isinstance(n.ctx, ast.Load)
        ]
        worst = self._worst(uses)
        if worst.kind is UseKind.RETURNED:
            return self._computed(call, depth)
        if worst.kind in {UseKind.BRANCH, UseKind.UNKNOWN}:
            return self._use(UseKind.NEEDED, call)
        return worst

    def _computed(self, call: ast.Call, depth: int) -> Use:
        """A function computes with the value: only what is plainly kept or shown is not needed."""
        parent = self._file.parents.get(call)
        unpacked = isinstance(parent, ast.Assign) and isinstance(
            parent.targets[0], ast.Tuple | ast.List
        )
        use = self._up(call, depth + 1)
        plain = {UseKind.ACCUMULATED, UseKind.PRINTED, UseKind.RETURNED}
        return use if use.kind in plain and not unpacked else self._use(UseKind.NEEDED, call)

    # --- statements ----------------------------------------------------------------------------

    def _test(self, statement: ast.If | ast.While) -> Use:
        if isinstance(statement, ast.While):
            return self._use(UseKind.NEEDED, statement.test)
        inside = [n for s in (*statement.body, *statement.orelse) for n in ast.walk(s)]
        acts = any(
            isinstance(n, _LEAVES) or (isinstance(n, ast.Call) and self._acts(n)) for n in inside
        )
        if acts or self._stops_early(statement, inside):
            return self._use(UseKind.NEEDED, statement.test)
        return self._use(UseKind.BRANCH, statement.test)

    def _stops_early(self, statement: ast.If, inside: list[ast.AST]) -> bool:
        """Whether a name set under the ``if`` decides elsewhere in the loop to leave it."""
        names = [n for n in inside if isinstance(n, ast.Name)]
        counters = {n.id for n in names if isinstance(n.ctx, ast.Store)}
        loop = self._file.loop(statement)
        if loop is None or not counters:
            return False
        return any(
            isinstance(other, ast.If)
            and other is not statement
            and any(isinstance(n, ast.Name) and n.id in counters for n in ast.walk(other.test))
            and any(isinstance(n, _LEAVES) for s in other.body for n in ast.walk(s))
            for other in ast.walk(loop)
        )

    def _acts(self, call: ast.Call) -> bool:
        """Saves or ends something: a reason for the host to know the value."""
        name = self._file.dotted(call.func)
        return name in _EXITS or name == "open" or name.rpartition(".")[2].startswith("save")

    def _target(self, target: ast.expr, statement: ast.AST, depth: int) -> Use:
        if isinstance(target, ast.Tuple | ast.List):
            return self._worst(self._target(t, statement, depth) for t in target.elts)
        if not isinstance(target, ast.Name):
            return self._use(UseKind.ACCUMULATED, statement)
        return self._name(target, statement, depth)

    def _name(self, store: ast.Name, statement: ast.AST, depth: int) -> Use:
        """The uses of a local name until it is assigned again.

        Where a loop assigns it: also in the next turn, before that.  What stands after the loop
        takes the last value only, for which no turn needed its own.
        """
        file = self._file
        if store in self._seen:
            return _UNKNOWN
        self._seen.add(store)
        scope = file.scope(store)
        names = file.occurrences(scope, store.id)
        begin = file.order(store)
        until = next(
            (
                file.order(n)
                for n in names
                if not isinstance(n.ctx, ast.Load) and file.order(n) > begin
            ),
            None,
        )
        loads = [
            n
            for n in names
            if isinstance(n.ctx, ast.Load)
            and file.order(n) >= begin
            and (until is None or file.order(n) <= until)
        ]
        loop = file.loop(store)
        if loop is not None:
            within = set(ast.walk(loop))
            stores = [n for n in names if not isinstance(n.ctx, ast.Load) and n in within]
            loads = [n for n in loads if n in within]
            if stores[-1] is store:
                first, updated = file.order(stores[0]), set(ast.walk(statement))
                loads += [
                    n
                    for n in names
                    if isinstance(n.ctx, ast.Load)
                    and file.order(n) < first
                    and n in within
                    and n not in updated
                ]
        if not loads:
            return self._use(UseKind.ACCUMULATED, statement)
        return self._worst(self._up(n, depth + 1) for n in loads)

    @staticmethod
    def _worst(uses: Iterable[Use]) -> Use:
        return max(uses, key=lambda use: use.kind, default=_UNKNOWN)


def _parameter(
    function: ast.FunctionDef, call: ast.Call, argument: ast.AST, *, skip_self: bool
) -> str | None:
    """The name under which ``function`` gets ``argument``."""
    if isinstance(argument, ast.keyword):
        return argument.arg
    names = [a.arg for a in (*function.args.posonlyargs, *function.args.args)]
    if skip_self and names and names[0] in {"self", "cls"}:
        names = names[1:]
    if any(isinstance(a, ast.Starred) for a in call.args):
        return None
    at = next((i for i, a in enumerate(call.args) if a is argument), len(names))
    return names[at] if at < len(names) else None
