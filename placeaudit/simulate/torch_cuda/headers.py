"""Virtual-table slots of torch's CUDA hooks, read from the headers that ship with torch.

The Itanium C++ ABI lays a table out in declaration order: two slots for a virtual destructor, then
one for each new virtual function; an override takes its base's slot.  Reading the order from the
installed headers keeps this right when a release inserts a function.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from placeaudit.errors import SimulationError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["guard_slots", "hook_slots", "profiler_slots"]

_BASE: Final = ("AcceleratorHooksInterface.h", "AcceleratorHooksInterface")
_DERIVED: Final = ("CUDAHooksInterface.h", "CUDAHooksInterface")

_COMMENT: Final = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_ROCM_ONLY: Final = re.compile(r"#\s*ifdef\s+USE_ROCM\b.*?#\s*endif", re.DOTALL)
_NAME: Final = re.compile(r"(~?\w+)\s*\(")


def _class_body(text: str, name: str) -> str:
    start = re.search(rf"struct\s+(?:TORCH|C10)_API\s+{name}\b[^;{{]*\{{", text)
    if start is None:
        raise SimulationError(f"torch's header of {name} has a layout this version does not know")
    depth, index = 1, start.end()
    while depth and index < len(text):
        depth += {"{": 1, "}": -1}.get(text[index], 0)
        index += 1
    return text[start.end() : index - 1]


def _declarations(body: str) -> list[tuple[str, bool]]:
    """(name, is new virtual) of each virtual member function, in order."""
    flat, depth = [], 0
    for char in body:
        depth += {"{": 1, "}": -1}.get(char, 0)
        if depth == 0:
            flat.append(";" if char == "}" else char)
    found = []
    for declaration in "".join(flat).split(";"):
        name = _NAME.search(declaration)
        overrides = re.search(r"\boverride\b", declaration) is not None
        is_new = re.search(r"\bvirtual\b", declaration) is not None and not overrides
        if name and (is_new or overrides):
            found.append((name[1], is_new))
    return found


def _read_class(path: Path, name: str) -> str:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SimulationError(f"torch came without its header {path.name}: {error}") from error
    return _class_body(_ROCM_ONLY.sub("", _COMMENT.sub("", text)), name)


def profiler_slots(include: Path) -> int:
    """How many slots the virtual table of ``ProfilerStubs`` has.

    Raises:
        SimulationError: the header is missing or not of the layout known.
    """
    body = _read_class(
        include / "torch" / "csrc" / "profiler" / "stubs" / "base.h", "ProfilerStubs"
    )
    return len(_declarations(body)) + 1  # a virtual destructor takes two


def guard_slots(include: Path) -> dict[str, int]:
    """Slot of every virtual function of ``DeviceGuardImplInterface``, by name.

    Its destructor comes last and takes two more slots.

    Raises:
        SimulationError: the header is missing or not of the layout known.
    """
    body = _read_class(
        include / "c10" / "core" / "impl" / "DeviceGuardImplInterface.h",
        "DeviceGuardImplInterface",
    )
    names = [name for name, _ in _declarations(body)]
    if names[-1:] != ["~DeviceGuardImplInterface"]:
        raise SimulationError("torch's header of the device guard has a layout unknown to us")
    return {name: slot for slot, name in enumerate(names[:-1])}


def hook_slots(include: Path) -> dict[str, int]:
    """Slot of every virtual function of ``CUDAHooksInterface``, by name.

    Args:
        include: torch's ``include`` directory.

    Raises:
        SimulationError: the headers are missing or not of the layout known.
    """
    slots: dict[str, int] = {}
    following = 0
    for file, name in (_BASE, _DERIVED):
        body = _read_class(include / "ATen" / "detail" / file, name)
        for function, is_new in _declarations(body):
            if function.startswith("~"):
                if name == _BASE[1]:
                    following += 2
            elif is_new and function not in slots:
                slots[function] = following
                following += 1
    return slots
