"""Environment variables that hide devices, read as the libraries behind them read them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

__all__ = ["HIDING", "CudaView", "Setting", "cuda_view", "settings"]

#: Variable to what it governs, in the order in which they are shown.
HIDING: Final[Mapping[str, str]] = {
    "CUDA_VISIBLE_DEVICES": "which NVIDIA devices CUDA shows, and in which order",
    "CUDA_DEVICE_ORDER": "how CUDA numbers devices: FASTEST_FIRST (its default) or PCI_BUS_ID",
    "NVIDIA_VISIBLE_DEVICES": "which NVIDIA devices the container was started with",
    "HIP_VISIBLE_DEVICES": "which AMD devices HIP shows",
    "GPU_DEVICE_ORDINAL": "which AMD devices HIP and OpenCL show",
    "ROCR_VISIBLE_DEVICES": "which AMD devices ROCm shows",
    "ZE_AFFINITY_MASK": "which Intel devices Level Zero shows",
    "ONEAPI_DEVICE_SELECTOR": "which devices SYCL shows",
}

_NOTHING: Final = frozenset({"void", "none", ""})
_NUMBER: Final = re.compile(r"[+-]?\d+")
_IDENTIFIERS: Final = ("GPU-", "MIG-")


@dataclass(frozen=True, slots=True)
class Setting:
    """A variable that is set, and what that means here ("" where nothing can be said)."""

    name: str
    value: str
    effect: str


@dataclass(frozen=True, slots=True)
class CudaView:
    """What CUDA_VISIBLE_DEVICES leaves of ``count`` devices.

    ``shown`` holds, in CUDA's order, the positions of the devices that are visible: ``shown[0]`` is
    ``cuda:0``.  ``problem`` says why fewer are visible than the variable names, "" where all are.
    """

    shown: tuple[int, ...]
    problem: str = ""


def cuda_view(value: str | None, uuids: Sequence[str]) -> CudaView:
    """Read CUDA_VISIBLE_DEVICES for devices with these identifiers, as CUDA reads it.

    Numbers or identifiers (their beginnings suffice), separated by commas; what comes after the
    first that names no device is not read, and a device named twice leaves none.
    """
    if value is None:
        return CudaView(tuple(range(len(uuids))))
    shown: list[int] = []
    entries = value.split(",")
    for number, entry in enumerate(entries, 1):
        found = _position(entry.strip(), uuids)
        if found is None:
            what = f"{entry.strip()!r} names no device here" if value.strip() else "it is empty"
            hidden = "" if number == len(entries) else ", and what follows it is not read"
            return CudaView(tuple(shown), f"{what}{hidden}")
        if found in shown:
            return CudaView((), f"{entry.strip()!r} names a device twice, and then CUDA shows none")
        shown.append(found)
    return CudaView(tuple(shown))


def _position(entry: str, uuids: Sequence[str]) -> int | None:
    if entry.startswith(_IDENTIFIERS):
        matching = [i for i, uuid in enumerate(uuids) if uuid.startswith(entry)]
        return matching[0] if len(matching) == 1 else None
    match = _NUMBER.match(entry)  # as strtol: "1st" is 1
    number = int(match[0]) if match else -1
    return number if 0 <= number < len(uuids) else None


def settings(environment: Mapping[str, str], uuids: Sequence[str]) -> tuple[Setting, ...]:
    """The variables of ``HIDING`` that are set, and what they do to devices so identified."""
    return tuple(
        Setting(name, environment[name], _effect(name, environment[name], uuids))
        for name in HIDING
        if name in environment
    )


def _effect(name: str, value: str, uuids: Sequence[str]) -> str:
    if name == "NVIDIA_VISIBLE_DEVICES" and value.strip().lower() in _NOTHING:
        return "this container was started without devices"
    if name != "CUDA_VISIBLE_DEVICES":
        return HIDING[name]
    if value.strip() in {"", "-1"}:
        return "hides every device"
    if not uuids:
        return "there is no device here to show or hide"
    view = cuda_view(value, uuids)
    shows = ", ".join(f"GPU {i} as cuda:{n}" for n, i in enumerate(view.shown)) or "no device"
    return f"shows {shows}" + (f" ({view.problem})" if view.problem else "")
