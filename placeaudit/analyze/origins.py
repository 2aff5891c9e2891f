"""Where an uploaded tensor came from: a host factory, data, or what the source does not tell.

Everything here reads syntax only.  What syntax cannot tell is ``UNKNOWN``, never a guess.
"""

from __future__ import annotations

import ast
import copy
import enum
from dataclasses import dataclass, replace
from typing import Final

from placeaudit.analyze.callsite import CONSTANT_FACTORIES, CallSite, upload_at
from placeaudit.analyze.numbers import is_literal, is_number, may_be_number
from placeaudit.analyze.source import ParsedFile, end

__all__ = ["Made", "Origin", "made_at", "on_device", "origin_of_upload", "unless_used"]

_RANDOM: Final = frozenset({"rand", "randn", "randint", "randperm"})
_FACTORIES: Final = _RANDOM | {"zeros", "ones", "full", "empty", "arange", "linspace", "eye"}

#: Constructors of host tensors by their element type.
_TYPED: Final = {
    "Tensor": "float32", "FloatTensor": "float32", "DoubleTensor": "float64",
    "HalfTensor": "float16", "LongTensor": "int64", "IntTensor": "int32",
    "ByteTensor": "uint8", "BoolTensor": "bool",
}  # fmt: skip

#: Methods whose arguments are sizes or orders, not tensors.
_SHAPE_METHODS: Final = frozenset(
    {
        "view", "reshape", "expand", "repeat", "tile", "unsqueeze", "squeeze", "permute",
        "transpose", "flatten", "t", "contiguous", "float", "double", "half", "bfloat16", "long",
        "int", "bool", "type", "clone", "tril", "triu", "repeat_interleave", "chunk",
        "requires_grad_", "detach", "to", "normal_", "uniform_", "fill_", "zero_", "bernoulli_",
        "random_", "clamp", "clamp_", "sort", "cumsum", "flip", "roll", "exponential_",
    }
)  # fmt: skip
#: Methods that mix another tensor in by position or content: what comes out is data.
_DATA_METHODS: Final = frozenset(
    {
        "gather", "index_select", "scatter", "scatter_", "scatter_add", "scatter_add_",
        "index_copy_", "index_add_", "index_fill_", "masked_fill", "masked_fill_",
        "masked_scatter_", "copy_", "put_", "index_put_", "where", "set_",
    }
)  # fmt: skip
_METADATA: Final = frozenset(
    {"shape", "size", "dim", "ndim", "numel", "dtype", "device", "element_size", "is_pinned"}
)
#: Arithmetic in which the other operand is more often a number than a tensor.
_SCALING: Final = (ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow)
#: Functions whose operands are tensors, all of them.
_JOINING: Final = frozenset(
    {
        "add", "sub", "mul", "div", "stack", "cat", "concat", "concatenate", "hstack", "vstack",
        "where", "lerp", "maximum", "minimum", "matmul", "mm", "bmm", "outer", "dot",
    }
)  # fmt: skip
_DEEPEST: Final = 20


class Made(enum.Enum):
    """What syntax says about a tensor's origin."""

    #: A host factory, perhaps with host operations, used for nothing but the upload.
    FACTORY = "factory"
    #: Anything else the host knows or uses: batches, files, arrays, numbers.
    DATA = "data"
    #: Not visible in this function.
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an uploaded tensor came from, as far as the source tells."""

    made: Made
    #: ``"torch.zeros"``; "" unless ``made`` is FACTORY.
    factory: str = ""
    #: The factory call, for the fix.
    node: ast.Call | None = None
    #: False where the host operations in between involve names that may be tensors.
    exact: bool = True
    #: Passed to ``torch.tensor`` as literal numbers.
    constant: bool = False
    #: Numbers are written where names say: slices, or indices that are data, which is not visible.
    filled: bool = False
    #: Why it is data, for people who ask.
    why: str = ""

    @property
    def random(self) -> bool:
        """Drawn from the host's generator: creating it on the device changes the stream."""
        return self.factory.rpartition(".")[2] in _RANDOM


_UNKNOWN: Final = Origin(Made.UNKNOWN)
#: A literal or number: takes part in host operations without being a tensor.
_NEUTRAL: Final = Origin(Made.UNKNOWN, why="number")


def _data(why: str) -> Origin:
    return Origin(Made.DATA, why=why)


def origin_of_upload(site: CallSite) -> tuple[Origin, str]:
    """Where the uploaded tensor came from, and the device text the line names."""
    upload = upload_at(site)
    if upload is None:
        return _UNKNOWN, ""
    if upload.subject is site.node and isinstance(upload.subject, ast.Call):
        # torch.tensor(…, device=…): the upload is inside the factory.
        return _constant_tensor(site.file, upload.subject), upload.device
    return _origin(site.file, upload.subject, 0), upload.device


def made_at(site: CallSite) -> Origin:
    """Whether the expression is itself a host factory, whose value goes only where it is handed.

    For a recorded factory call whose upload stands in another function.
    """
    file, node = site.file, site.node
    if not isinstance(node, ast.Call):
        return _UNKNOWN
    origin = _factory(file, node)
    if origin.made is not Made.FACTORY:
        return origin
    parent = file.parents.get(node)
    if isinstance(parent, ast.Return | ast.Call | ast.keyword | ast.Yield):
        return replace(origin, exact=False)
    if isinstance(parent, ast.Assign) and isinstance(parent.targets[0], ast.Name):
        name, scope = parent.targets[0], file.scope(node)
        loads = [
            n
            for n in file.occurrences(scope, name.id)
            if isinstance(n.ctx, ast.Load) and n is not name and not _is_metadata(file, n)
        ]
        handed = len(loads) == 1 and isinstance(
            file.parents[loads[0]], ast.Return | ast.Call | ast.keyword
        )
        if handed and not file.escapes(scope, name.id):
            return replace(origin, exact=False)
        return _data("used elsewhere on the host")
    return _UNKNOWN


def on_device(origin: Origin, device: str) -> str:
    """The factory call with ``device`` as source text: ``torch.zeros(n, device=device)``."""
    assert origin.node is not None
    call = copy.deepcopy(origin.node)
    call.keywords = [k for k in call.keywords if k.arg != "device"]
    call.keywords.append(ast.keyword("device", ast.parse(device, mode="eval").body))
    return ast.unparse(call)


# --- from expression to origin -----------------------------------------------------------------


def _constant_tensor(file: ParsedFile, call: ast.Call) -> Origin:
    if not call.args or not is_literal(call.args[0]):
        return _data("made from the program's own values")
    if isinstance(call.func, ast.Attribute) and call.func.attr == "new_tensor":
        # Of the other tensor's type and device, which is where the numbers go by way of the host.
        other = ast.Attribute(call.func.value, "dtype", ast.Load())
        return Origin(Made.FACTORY, "Tensor.new_tensor", _tensor(call, other), constant=True)
    return Origin(Made.FACTORY, file.dotted(call.func), call, constant=True)


def _typed_list(file: ParsedFile, call: ast.Call) -> Origin:
    """``torch.FloatTensor([…])`` of literal numbers; of sizes it says nothing."""
    name = file.dotted(call.func)
    listed = call.args and any(isinstance(n, ast.List | ast.Tuple) for n in ast.walk(call.args[0]))
    if listed and is_literal(call.args[0]):
        dtype = ast.parse(f"torch.{_TYPED[name.rpartition('.')[2]]}", mode="eval").body
        return Origin(Made.FACTORY, name, _tensor(call, dtype), constant=True)
    return _UNKNOWN


def _tensor(call: ast.Call, dtype: ast.expr) -> ast.Call:
    """The same numbers as ``torch.tensor(…, dtype=…)``, unless the call names a type itself."""
    keywords = [k for k in call.keywords if k.arg in {"dtype", "requires_grad"}]
    if not any(k.arg == "dtype" for k in keywords):
        keywords.insert(0, ast.keyword("dtype", dtype))
    function = ast.parse("torch.tensor", mode="eval").body
    return ast.copy_location(ast.Call(function, list(call.args), keywords), call)


def _factory(file: ParsedFile, call: ast.Call) -> Origin:
    """A host factory call, data, or unknown."""
    name = file.dotted(call.func)
    last = name.rpartition(".")[2]
    if name != f"torch.{last}":
        return _UNKNOWN
    device = next((k.value for k in call.keywords if k.arg == "device"), None)
    on_host = device is None or (isinstance(device, ast.Constant) and device.value == "cpu")
    if last in CONSTANT_FACTORIES and on_host:
        return _constant_tensor(file, call)
    if last in _TYPED:
        return _typed_list(file, call)
    if last in _FACTORIES and on_host:
        return Origin(Made.FACTORY, name, call)
    return _UNKNOWN


def _origin(file: ParsedFile, node: ast.expr, depth: int) -> Origin:  # noqa: PLR0911 (a table)
    if depth > _DEEPEST:
        return _UNKNOWN
    match node:
        case ast.Constant():
            return _NEUTRAL
        case ast.Name():
            return _of_name(file, node, depth)
        case ast.Call():
            return _of_call(file, node, depth)
        case ast.BinOp(left=left, op=op, right=right):
            return _mix(file, [left, right], depth, scaling=isinstance(op, _SCALING))
        case ast.Compare(left=left, comparators=[right]):
            return _mix(file, [left, right], depth, scaling=True)
        case ast.UnaryOp(operand=operand):
            return _origin(file, operand, depth + 1)
        case ast.Subscript(value=value, slice=index):
            made = _origin(file, value, depth + 1)
            if made.made is Made.FACTORY and not _plain_index(index):
                return _data("indexed by values")
            return made
        case ast.Attribute(value=value, attr="T" | "mT" | "H" | "real" | "imag" | "data"):
            return _origin(file, value, depth + 1)
    return _UNKNOWN


def _plain_index(index: ast.expr) -> bool:
    if isinstance(index, ast.Tuple):
        return all(map(_plain_index, index.elts))
    return isinstance(index, ast.Slice | ast.Constant | ast.UnaryOp)


def _mix(
    file: ParsedFile, operands: list[ast.expr], depth: int, *, scaling: bool = False
) -> Origin:
    """Host arithmetic: a factory with numbers stays one; with what may be one, it likely does."""
    origins = [(_origin(file, o, depth + 1), o) for o in operands]
    made = [o for o, _ in origins if o.made is Made.FACTORY]
    if not made:
        return _UNKNOWN
    if any(o.made is Made.DATA for o, _ in origins):
        return _data("mixed with data on the host")
    others = [node for o, node in origins if o.made is not Made.FACTORY]
    if not all(may_be_number(file, node, scaling=scaling) for node in others):
        return _data("mixed with what may be a tensor of the host's")
    sure = all(is_number(file, node) for node in others)
    found = next((o for o in made if o.random), made[0])
    return replace(found, exact=sure and all(o.exact for o in made), constant=False)


def _of_call(file: ParsedFile, call: ast.Call, depth: int) -> Origin:  # noqa: PLR0911
    found = _factory(file, call)
    if found.made is not Made.UNKNOWN:
        return found
    name = file.dotted(call.func)
    if name.startswith("torch.") and file.is_imported(call.func):
        joins = name.rpartition(".")[2] in _JOINING
        return _mix(file, _flat(call.args), depth, scaling=not joins) if call.args else _UNKNOWN
    if not isinstance(call.func, ast.Attribute):
        return _UNKNOWN
    made = _origin(file, call.func.value, depth + 1)
    if made.made is not Made.FACTORY:
        return made if made.made is Made.DATA else _UNKNOWN
    if call.func.attr in _DATA_METHODS:
        return _data("filled from other values")
    if call.func.attr in {"numpy", "tolist", "item", "pin_memory"}:
        return _UNKNOWN
    if call.func.attr in _SHAPE_METHODS or all(is_number(file, a) for a in call.args):
        return made
    if not all(may_be_number(file, a, scaling=True) for a in call.args):
        return _data("mixed with what may be a tensor of the host's")
    return replace(made, exact=False)


def _flat(arguments: list[ast.expr]) -> list[ast.expr]:
    """Arguments with lists taken apart: what ``torch.stack([a, b])`` is made from."""
    found: list[ast.expr] = []
    for argument in arguments:
        if isinstance(argument, ast.List | ast.Tuple) and not is_literal(argument):
            found += argument.elts
        elif isinstance(argument, ast.ListComp | ast.GeneratorExp):
            found.append(argument.elt)
        else:
            found.append(argument)
    return found


def _is_metadata(file: ParsedFile, name: ast.Name) -> bool:
    parent = file.parents[name]
    if isinstance(parent, ast.Attribute):
        return parent.attr in _METADATA
    return isinstance(parent, ast.Call) and file.dotted(parent.func) == "len"


def _filled(file: ParsedFile, name: ast.Name) -> bool:
    """``z[rows, columns] = 1``: numbers are written where names say."""
    parent = file.parents[name]
    statement = file.parents[parent]
    return (
        isinstance(parent, ast.Subscript)
        and isinstance(parent.ctx, ast.Store)
        and isinstance(statement, ast.Assign)
        and is_literal(statement.value)
    )


def _host_operation(file: ParsedFile, name: ast.Name) -> bool:
    """``z.normal_()`` as a statement, or ``z[:, 0] = 1``: an operation that fills in numbers."""
    parent = file.parents[name]
    if isinstance(parent, ast.Attribute) and parent.attr in _SHAPE_METHODS:
        call = file.parents[parent]
        statement = file.parents.get(call)
        return (
            isinstance(call, ast.Call)
            and isinstance(statement, ast.Expr)
            and all(is_number(file, a) or isinstance(a, ast.Name) for a in call.args)
        )
    if isinstance(parent, ast.Subscript) and isinstance(parent.ctx, ast.Store):
        statement = file.parents[parent]
        return (
            isinstance(statement, ast.Assign)
            and _plain_index(parent.slice)
            and is_literal(statement.value)
        )
    return False


def _of_name(file: ParsedFile, name: ast.Name, depth: int) -> Origin:
    """Local definition and use: one assignment reaches here, and nothing else reads the value."""
    scope = file.scope(name)
    names = file.occurrences(scope, name.id)
    here = file.order(name)
    stores = [n for n in names if not isinstance(n.ctx, ast.Load)]
    before = [n for n in stores if file.order(n) <= here]
    if not before:
        return _UNKNOWN
    store = before[-1]
    statement = file.parents[store]
    if isinstance(statement, ast.Assign) and statement.targets == [store]:
        value: ast.expr | None = statement.value
    elif isinstance(statement, ast.AnnAssign):
        value = statement.value
    else:
        value = None
    if value is None:
        return _UNKNOWN
    found = _origin(file, value, depth + 1)
    if found.made is not Made.FACTORY:
        return found
    if file.loop(statement) is not file.loop(name):
        return _data("made before the loop that uploads it")
    return unless_used(file, name, store, names, found)


def unless_used(
    file: ParsedFile, name: ast.Name, store: ast.Name, names: list[ast.Name], found: Origin
) -> Origin:
    """``found``, or data where the value that ``store`` gave ``name`` is used elsewhere too."""
    begin = file.order(store)
    later = [n for n in names if not isinstance(n.ctx, ast.Load) and file.order(n) > begin]
    until = file.order(later[0]) if later else end(file.tree.body[-1])
    for use in names:
        if use is name or not isinstance(use.ctx, ast.Load):
            continue
        if not begin <= file.order(use) <= until:
            continue
        if _is_metadata(file, use) or _host_operation(file, use):
            continue
        if not _filled(file, use):
            return _data("used elsewhere on the host")
        found = replace(found, filled=True, exact=False)
    if file.escapes(file.scope(name), name.id):
        return _data("read by a nested function")
    return found
