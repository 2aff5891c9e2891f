"""PA111 in TensorFlow: NumPy computes on what was downloaded, and the result goes up again."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from placeaudit.analyze.audit import D2H
from placeaudit.analyze.callsite import CallSite, upload_at
from placeaudit.analyze.source import ParsedFile
from placeaudit.model import Finding
from placeaudit.rules.facts import TINY_BYTES, Facts, Group
from placeaudit.rules.transfers.host_detour import Detour, HostDetour, feeding
from placeaudit.rules.transfers.round_trip import round_trips

__all__ = ["TensorflowHostDetour", "detour_downloads"]

#: Functions of NumPy, and methods of its arrays, that TensorFlow has under this name.
_EQUIVALENTS: Final = {
    "argsort": "tf.argsort", "sort": "tf.sort", "clip": "tf.clip_by_value", "where": "tf.where",
    "mean": "tf.reduce_mean", "sum": "tf.reduce_sum", "max": "tf.reduce_max",
    "min": "tf.reduce_min", "std": "tf.math.reduce_std", "var": "tf.math.reduce_variance",
    "prod": "tf.reduce_prod", "argmax": "tf.argmax", "argmin": "tf.argmin",
    "maximum": "tf.maximum", "minimum": "tf.minimum", "exp": "tf.exp", "log": "tf.math.log",
    "sqrt": "tf.sqrt", "square": "tf.square", "abs": "tf.abs", "sign": "tf.sign",
    "tanh": "tf.tanh", "cumsum": "tf.cumsum", "cumprod": "tf.math.cumprod", "dot": "tf.tensordot",
    "matmul": "tf.matmul", "transpose": "tf.transpose", "concatenate": "tf.concat",
    "stack": "tf.stack", "flip": "tf.reverse", "roll": "tf.roll", "round": "tf.round",
    "power": "tf.pow", "linalg.norm": "tf.norm", "log1p": "tf.math.log1p", "add": "tf.add",
    "subtract": "tf.subtract", "multiply": "tf.multiply", "divide": "tf.divide",
    "one_hot": "tf.one_hot", "diff": "tf.subtract", "expand_dims": "tf.expand_dims",
    "reshape": "tf.reshape", "squeeze": "tf.squeeze",
}  # fmt: skip
#: Make an array or tensor of the same values.
_PLAIN: Final = frozenset({"array", "asarray", "ascontiguousarray", "float32", "float64"})
#: Methods of arrays that change no value.
_SHAPES: Final = frozenset({"astype", "copy", "numpy", "item", "tolist"})
_ARITHMETIC: Final = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**", ast.MatMult: "@",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Work:
    """What the host does between the two copies."""

    #: TensorFlow's names for it.
    known: tuple[str, ...]
    #: What TensorFlow may not have.
    foreign: tuple[str, ...]


def _detours(facts: Facts) -> tuple[Detour, ...]:
    """Sites whose uploaded expression is computed from one download, by NumPy."""
    audit, copies = facts.audit, facts.audit.copies
    read = [i for i, text in enumerate(audit.strings) if text == "numpy"]
    tensors = copies.bytes > TINY_BYTES  # what a number goes through is PA201's
    read_down = facts.downloads() & tensors & np.isin(copies.operation, read)
    down: dict[ast.AST, int] = {}
    for group in facts.groups(copies, np.flatnonzero(read_down)):
        call = facts.call(group.index)
        if call is not None and group.site.library is None:
            down[call.node] = group.index
    usable = facts.uploads() & tensors & ~facts.once(round_trips).uploads
    found = []
    for group in facts.groups(copies, np.flatnonzero(usable)):
        detour = _judge(facts, group, down)
        if detour is not None:
            found.append(detour)
    return tuple(found)


def _judge(facts: Facts, group: Group, down: dict[ast.AST, int]) -> Detour | None:
    call = facts.call(group.index)
    if call is None or group.site.library is not None:
        return None
    copies = facts.audit.copies
    for subject in _subjects(call):
        nodes = list(feeding(call.file, subject, 0))
        sites = {down[node] for node in nodes if node in down}
        if len(sites) != 1 or subject in down:
            continue
        (site,) = sites
        rows = np.flatnonzero((copies.site == site) & (copies.direction == D2H))
        if not (copies.src_device[rows] == copies.dst_device[group.rows[0]]).all():
            continue
        work = _work(call.file, nodes, [n for n in nodes if down.get(n) == site])
        if work is None or (not work.known and not work.foreign):
            continue
        why = f"TensorFlow may have no `{work.foreign[0]}`" if work.foreign else ""
        return Detour(group, (site,), work.known or work.foreign, why, mixed=False, seen=False)
    return None


def _subjects(call: CallSite) -> Iterator[ast.expr]:
    """What the expression may upload."""
    upload = upload_at(call)
    if upload is not None:
        yield upload.subject
    elif isinstance(call.node, ast.Call):
        yield from (a for a in call.node.args if not isinstance(a, ast.Starred))
    elif isinstance(call.node, ast.BinOp):
        yield from (call.node.left, call.node.right)


def _work(file: ParsedFile, nodes: list[ast.AST], downloads: list[ast.AST]) -> _Work | None:
    """What is done on the host, everything above the download; None where it went up already."""
    inside = {n for download in downloads for n in ast.walk(download)}
    above = {n for download in downloads for n in (download, *file.above(download))}
    known: list[str] = []
    foreign: list[str] = []
    for node in nodes:
        if node in inside:
            continue
        if isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
            known.append(_ARITHMETIC[type(node.op)])
        if not isinstance(node, ast.Call):
            continue
        name = file.dotted(node.func)
        last = node.func.attr if isinstance(node.func, ast.Attribute) else name
        if node in above and name.startswith(("tensorflow.", "keras.")):
            return None
        if name.startswith("numpy."):
            short = name.removeprefix("numpy.")
            if short in _EQUIVALENTS:
                known.append(_EQUIVALENTS[short])
            elif short not in _PLAIN:
                foreign.append(name)
        elif last in _EQUIVALENTS and not name.startswith("tensorflow."):
            known.append(_EQUIVALENTS[last])
        elif (
            last not in _SHAPES
            and not name.startswith(("tensorflow.", "keras."))
            and (node in above or file.is_imported(node.func))
        ):
            # A function of the program's own, or of another library: what it does is not seen.
            foreign.append(ast.unparse(node.func))
    return _Work(tuple(dict.fromkeys(known)), tuple(dict.fromkeys(foreign)))


def detour_downloads(facts: Facts) -> npt.NDArray[np.bool_]:
    """By copy: whether it is the download of a detour that can go as a whole."""
    copies = facts.audit.copies
    sites = [s for found in facts.once(_detours) if not found.needs_host for s in found.downloads]
    return np.asarray(np.isin(copies.site, sites) & (copies.direction == D2H))


class TensorflowHostDetour(HostDetour):
    """NumPy computes on ``tensor.numpy()`` what TensorFlow computes too.

    ``tf.argsort``, ``tf.clip_by_value``, ``tf.where``, ``tf.reduce_mean`` and their kin stay on the
    device.  Where NumPy's function has no such twin the finding is ``info``.
    """

    def check(self, facts: Facts) -> Iterable[Finding]:
        """One finding for each site that uploads what was computed from downloads."""
        copies = facts.audit.copies
        for found in facts.once(_detours):
            if copies.steady[found.group.rows].any():
                yield self._finding(facts, found)

    def _finding(self, facts: Facts, found: Detour) -> Finding:
        made = super()._finding(facts, found)
        if found.needs_host:
            return made
        names = ", ".join(f"`{name}`" for name in found.operations[:3])
        line = f" at line {made.related[0][1].line}" if made.related else ""
        return replace(
            made, fix=f"compute it on {made.dst} with {names} and drop the `.numpy()`{line}"
        )
