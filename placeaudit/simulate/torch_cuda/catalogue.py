"""Which operators a CUDA device implements itself, read from torchgen's packaged declarations.

``native_functions.yaml`` ships with torch.  Only a handful of its fields matter here, so it is read
line by line; a YAML parser would take a second of every audited program's start.
"""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from placeaudit.errors import SimulationError

__all__ = ["Declaration", "read_declarations"]

_FUNC: Final = re.compile(r"- func: (?P<name>\w+(?:\.\w+)?)\(")
_FIELD: Final = re.compile(r"  (?P<field>\w+):\s*(?P<value>[^#]*)")
_DISPATCH: Final = re.compile(r"    (?P<keys>[\w, ]+): ")
_SPARSE: Final = (("SparseCUDA", "SparseCPU"), ("SparseCsrCUDA", "SparseCsrCPU"))


@dataclass(slots=True)
class Declaration:
    """What is known of one operator overload before it is looked up in the dispatcher."""

    name: str
    is_structured: bool = False
    has_cuda: bool = False
    #: Whether it writes into ``out=`` arguments, whatever they are called.
    is_out: bool = False
    #: False where the declaration says ``device_check: NoCheck``.
    is_device_checked: bool = True
    #: Nested tensors: one implementation for host and device, or one for the device alone.
    is_nested_shared: bool = False
    has_nested_cuda: bool = False
    #: Sparse dispatch keys of the device that it is implemented for, and those of them where the
    #: implementation is the host's.
    sparse: tuple[str, ...] = ()
    shared_sparse: tuple[str, ...] = ()


def _yaml_path() -> Path:
    spec = importlib.util.find_spec("torchgen")
    if spec is None or spec.origin is None:
        raise SimulationError("this torch came without torchgen, which simulated CUDA reads")
    return Path(spec.origin).parent / "packaged" / "ATen" / "native" / "native_functions.yaml"


def _read_line(line: str, current: Declaration) -> None:
    if line.startswith("    "):
        match = _DISPATCH.match(line)
        keys = match["keys"].replace(" ", "").split(",") if match else ()
        current.has_cuda |= "CUDA" in keys
        if "NestedTensorCUDA" in keys:
            current.has_nested_cuda = True
            current.is_nested_shared = "NestedTensorCPU" in keys
        for key, host_key in _SPARSE:
            if key in keys:
                current.sparse += (key,)
                current.shared_sparse += (key,) if host_key in keys else ()
        return
    field = _FIELD.match(line)
    if field is None:
        return
    name, value = field["field"], field["value"].strip()
    if name == "structured_delegate":
        current.has_cuda = current.is_structured = True
    elif name == "ufunc_inner_loop":
        current.has_cuda = True  # generated for CPU and CUDA alike
    elif name == "structured" and value == "True":
        current.is_structured = True
    elif name == "device_check" and value == "NoCheck":
        current.is_device_checked = False


def read_declarations() -> dict[str, Declaration]:
    """Operators with a CUDA kernel, of any layout, by ``name`` or ``name.overload``.

    Raises:
        SimulationError: the declarations are missing or hold next to nothing.
    """
    try:
        lines = _yaml_path().read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise SimulationError(f"cannot read torch's operator declarations: {error}") from error
    found: list[Declaration] = []
    for line in lines:
        start = _FUNC.match(line)
        if start:
            keywords = line.partition("->")[0].partition("*, ")[2]
            found.append(Declaration(start["name"], is_out="!)" in keywords))
        elif found and line.startswith("  "):
            _read_line(line, found[-1])
    declarations = {
        item.name: item for item in found if item.has_cuda or item.has_nested_cuda or item.sparse
    }
    if "add.out" not in declarations or "mm" not in declarations:
        raise SimulationError("torch's operator declarations are of a layout unknown to us")
    return declarations
