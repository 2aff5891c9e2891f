"""NumPy arrays and lists that a TensorFlow line uploads: made there, or data.

Everything here reads syntax only.  What syntax cannot tell is ``UNKNOWN``, never a guess.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from placeaudit.analyze.callsite import CONVERSIONS, CallSite
from placeaudit.analyze.numbers import is_literal, is_number, may_be_number
from placeaudit.analyze.origins import Made, Origin, unless_used
from placeaudit.analyze.source import ParsedFile

__all__ = ["EQUIVALENTS", "origin_of_array"]

#: Factories, with what makes the same on the device; random ones have "random" in their name.
EQUIVALENTS: Final = {
    "numpy.zeros": "tf.zeros", "numpy.ones": "tf.ones", "numpy.full": "tf.fill",
    "numpy.empty": "tf.zeros", "numpy.arange": "tf.range", "numpy.linspace": "tf.linspace",
    "numpy.eye": "tf.eye", "numpy.identity": "tf.eye",
    "numpy.tri": "tf.linalg.band_part(tf.ones(…), -1, 0)",
    "numpy.random.normal": "tf.random.normal", "numpy.random.randn": "tf.random.normal",
    "numpy.random.standard_normal": "tf.random.normal",
    "numpy.random.uniform": "tf.random.uniform", "numpy.random.rand": "tf.random.uniform",
    "numpy.random.random": "tf.random.uniform", "numpy.random.random_sample": "tf.random.uniform",
    "numpy.random.randint": "tf.random.uniform", "numpy.random.integers": "tf.random.uniform",
    "numpy.random.permutation": "tf.random.shuffle(tf.range(…))",
}  # fmt: skip
#: What makes a tensor where ``tf.device`` says.
_TENSORS: Final = frozenset(
    {
        "zeros", "ones", "fill", "range", "linspace", "eye", "random.normal", "random.uniform",
        "random.truncated_normal",
    }
)  # fmt: skip
#: Functions of NumPy that compute with arrays, numbers and sizes only.
_COMPUTES: Final = frozenset(
    {
        "tril", "triu", "sin", "cos", "exp", "log", "sqrt", "abs", "square", "clip", "expand_dims",
        "reshape", "tile", "repeat", "stack", "concatenate", "hstack", "vstack", "transpose",
        "array", "asarray", "ascontiguousarray", "float32", "float64", "float16", "int64", "sign",
        "broadcast_to", "squeeze", "power", "multiply", "subtract", "add", "divide",
    }
)  # fmt: skip
_METHODS: Final = frozenset(
    {
        "astype", "reshape", "transpose", "copy", "repeat", "flatten", "ravel", "clip", "cumsum",
        "round", "squeeze",
    }
)  # fmt: skip
_DRAWS: Final = frozenset(
    name.rpartition(".")[2] for name in EQUIVALENTS if name.startswith("numpy.random.")
)
#: Arithmetic in which the other operand is more often a number than an array.
_SCALING: Final = (ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow)
_DEEPEST: Final = 12
_UNKNOWN: Final = Origin(Made.UNKNOWN)


def _data(why: str) -> Origin:
    return Origin(Made.DATA, why=why)


def origin_of_array(site: CallSite) -> Origin:
    """Where what the expression uploads came from.

    A conversion (``tf.constant(x)``) uploads its argument; of another call or of arithmetic it is
    the one operand that the host made.
    """
    file, node = site.file, site.node
    if isinstance(node, ast.Call) and file.dotted(node.func) in CONVERSIONS and node.args:
        if is_literal(node.args[0]):
            made = Origin(Made.FACTORY, file.dotted(node.func), node, constant=True)
            literal = isinstance(node.args[0], ast.List | ast.Tuple)
            return made if literal else _UNKNOWN
        return _origin(file, node.args[0], 0)
    found = [_origin(file, o, 0) for o in _operands(node) if not _is_tensor(file, o)]
    made_here = [origin for origin in found if origin.made is Made.FACTORY]
    return replace(made_here[0], exact=False) if len(made_here) == 1 else _UNKNOWN


def _is_tensor(file: ParsedFile, node: ast.expr) -> bool:
    """Whether a name holds what another line has made a tensor of, and so uploaded already."""
    if not isinstance(node, ast.Name):
        return False
    names = file.occurrences(file.scope(node), node.id)
    before = [n for n in names if isinstance(n.ctx, ast.Store) and file.order(n) < file.order(node)]
    holder = file.parents[before[-1]] if before else None
    value = holder.value if isinstance(holder, ast.Assign) else None
    return isinstance(value, ast.Call) and file.dotted(value.func) in CONVERSIONS


def _operands(node: ast.AST) -> Iterator[ast.expr]:
    if isinstance(node, ast.Call):
        yield from node.args
        yield from (keyword.value for keyword in node.keywords)
    elif isinstance(node, ast.BinOp):
        yield from (node.left, node.right)
    elif isinstance(node, ast.AugAssign):
        yield node.value


def _factory(file: ParsedFile, call: ast.Call) -> str:
    """``"numpy.random.normal"`` where the call makes an array of nothing but sizes, else ""."""
    name = file.dotted(call.func)
    if name in EQUIVALENTS:
        return name
    if name.removeprefix("tensorflow.") in _TENSORS and name.startswith("tensorflow."):
        return name if _on_host(file, call) else ""
    if isinstance(call.func, ast.Attribute) and call.func.attr in _DRAWS:
        # A generator of NumPy's, whatever it is called: `rng.normal`, `self.random_state.rand`.
        holder = ast.unparse(call.func.value).lower()
        if "rng" in holder or "random" in holder or "generator" in holder:
            return f"numpy.random.{call.func.attr}"
    return ""


def _on_host(file: ParsedFile, node: ast.AST) -> bool:
    """Inside ``with tf.device("/CPU:0")``."""
    return any(
        isinstance(item.context_expr, ast.Call)
        and file.dotted(item.context_expr.func) == "tensorflow.device"
        and any(
            isinstance(a, ast.Constant) and "cpu" in str(a.value).lower()
            for a in item.context_expr.args
        )
        for holder in file.above(node)
        if isinstance(holder, ast.With)
        for item in holder.items
    )


def _origin(file: ParsedFile, node: ast.expr, depth: int) -> Origin:  # noqa: PLR0911 (a table)
    if depth > _DEEPEST:
        return _UNKNOWN
    match node:
        case ast.Name():
            return _of_name(file, node, depth)
        case ast.Call():
            return _of_call(file, node, depth)
        case ast.BinOp(left=left, op=op, right=right):
            return _mix(file, [left, right], depth, scaling=isinstance(op, _SCALING))
        case ast.UnaryOp(operand=operand) | ast.Attribute(value=operand, attr="T"):
            return _origin(file, operand, depth + 1)
        case ast.Subscript(value=value, slice=ast.Slice() | ast.Constant() | ast.Tuple()):
            return _origin(file, value, depth + 1)
    return _UNKNOWN


def _mix(file: ParsedFile, operands: list[ast.expr], depth: int, *, scaling: bool = True) -> Origin:
    """Arithmetic of arrays the host made with numbers; with anything else it is data."""
    made = [(o, _origin(file, o, depth + 1)) for o in operands if not is_literal(o)]
    here = [origin for _, origin in made if origin.made is Made.FACTORY]
    others = [o for o, origin in made if origin.made is not Made.FACTORY]
    if not here:
        return _UNKNOWN
    if not all(may_be_number(file, o, scaling=scaling) for o in others):
        return _data("mixed with what may be data")
    found = next((o for o in here if "random" in o.factory), here[0])
    return replace(found, exact=all(is_number(file, o) for o in others))


def _of_call(file: ParsedFile, call: ast.Call, depth: int) -> Origin:
    if factory := _factory(file, call):
        return Origin(Made.FACTORY, factory, call)
    name = file.dotted(call.func)
    if name in CONVERSIONS and call.args:
        return _origin(file, call.args[0], depth + 1)
    if name.startswith("numpy.") and name.rpartition(".")[2] in _COMPUTES and call.args:
        flat = [e for a in call.args for e in (a.elts if isinstance(a, ast.List) else [a])]
        return _mix(file, flat[:1] if name != "numpy.stack" else flat, depth)
    if isinstance(call.func, ast.Attribute) and call.func.attr in _METHODS:
        return _origin(file, call.func.value, depth + 1)
    return _returned(file, call, depth)


def _returned(file: ParsedFile, call: ast.Call, depth: int) -> Origin:
    """What a function or method of the same file makes and returns for each call."""
    if file.is_imported(call.func):
        return _UNKNOWN
    name = call.func.attr if isinstance(call.func, ast.Attribute) else file.dotted(call.func)
    functions = file.functions.get(name, [])
    if len(functions) != 1:
        return _UNKNOWN
    inner = [n for n in ast.walk(functions[0]) if isinstance(n, ast.Return | ast.Yield)]
    if len(inner) != 1 or isinstance(inner[0], ast.Yield) or inner[0].value is None:
        return _UNKNOWN
    value = inner[0].value
    parts = value.elts if isinstance(value, ast.List | ast.Tuple) else [value]
    found = [_origin(file, part, depth + 1) for part in parts]
    if not found or any(origin.made is not Made.FACTORY for origin in found):
        return _UNKNOWN
    return replace(found[0], exact=False)


def _of_name(file: ParsedFile, name: ast.Name, depth: int) -> Origin:
    """One assignment reaches here, in the same loop, and nothing else on the host reads it."""
    names = file.occurrences(file.scope(name), name.id)
    before = [
        n for n in names if not isinstance(n.ctx, ast.Load) and file.order(n) <= file.order(name)
    ]
    if not before:
        return _UNKNOWN
    store = before[-1]
    holder = file.parents[store]
    if isinstance(holder, ast.comprehension) and holder.target is store:
        return _origin(file, holder.iter, depth + 1)
    if not isinstance(holder, ast.Assign) or holder.targets != [store]:
        return _UNKNOWN
    found = _origin(file, holder.value, depth + 1)
    if found.made is not Made.FACTORY:
        return found
    if file.loop(holder) is not file.loop(name):
        return _data("made before the loop that uploads it")
    return unless_used(file, name, store, names, found)
