"""The expression that made a copy, and what it uploads.

Everything here reads syntax only.  What syntax cannot tell is None, never a guess.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Final

from placeaudit.analyze.source import ParsedFile, Sources
from placeaudit.model import Frame

__all__ = ["CONSTANT_FACTORIES", "CONVERSIONS", "CallSite", "Upload", "call_site", "upload_at"]

#: Functions of torch that make a tensor from values, on the device that they are told.
CONSTANT_FACTORIES: Final = frozenset({"tensor", "as_tensor", "scalar_tensor"})
#: Functions of TensorFlow and Keras that make a tensor of their first argument.
CONVERSIONS: Final = frozenset(
    {
        "tensorflow.constant", "tensorflow.convert_to_tensor", "tensorflow.cast",
        "tensorflow.identity", "keras.ops.convert_to_tensor",
        "tensorflow.keras.ops.convert_to_tensor",
    }
)  # fmt: skip


@dataclass(frozen=True)
class CallSite:
    """An expression of the program: ``node`` in ``file``."""

    file: ParsedFile
    node: ast.AST

    @property
    def text(self) -> str:
        """The expression as written, shortened."""
        return self.file.quote(self.node)


def call_site(sources: Sources, frame: Frame | None) -> CallSite | None:
    """The expression ``frame`` was executing, None where the source or its columns are unknown."""
    if frame is None:
        return None
    file = sources.file(frame.file)
    node = file.find(frame) if file is not None else None
    return CallSite(file, node) if file is not None and node is not None else None


@dataclass(frozen=True, slots=True)
class Upload:
    """What a line uploads, and the device it names, as source text ("" if it names none)."""

    subject: ast.expr
    device: str


def _is_dtype(file: ParsedFile, node: ast.expr) -> bool:
    name = file.dotted(node)
    return name.startswith("torch.") and name.rpartition(".")[2] != "device"


def _device_text(file: ParsedFile, call: ast.Call) -> str:
    """The device a ``.to(…)``, ``.cuda(…)`` or factory call names, as it is written."""
    named = next((k.value for k in call.keywords if k.arg == "device"), None)
    if named is not None:
        return ast.unparse(named)
    attr = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    if attr == "cuda":
        return ast.unparse(call.args[0]) if call.args else '"cuda"'
    if attr == "to" and call.args and not _is_dtype(file, call.args[0]):
        first = call.args[0]
        text = ast.unparse(first)
        # `x.to(other)` follows a tensor; `device=other` would not do.
        if isinstance(first, ast.Constant | ast.Call) or "dev" in text.lower():
            return text
    return ""


def upload_at(site: CallSite) -> Upload | None:  # noqa: PLR0911 (a table)
    """What the expression uploads; None where syntax does not say."""
    file, node = site.file, site.node
    if isinstance(node, ast.Call):
        attr = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        name = file.dotted(node.func)
        if name.startswith("torch.") and name.rpartition(".")[2] in CONSTANT_FACTORIES:
            return Upload(node, _device_text(file, node))
        if attr == "new_tensor":
            return Upload(node, _device_text(file, node))
        if name in CONVERSIONS:
            return Upload(node.args[0], "") if node.args else None
        if isinstance(node.func, ast.Attribute) and attr in {"to", "cuda", "type_as", "xpu"}:
            return Upload(node.func.value, _device_text(file, node))
        if attr == "copy_" and node.args:
            return Upload(node.args[0], "")
        return None
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
        statement = file.statement(node)
        if isinstance(statement, ast.Assign):
            return Upload(statement.value, "")
    return None
