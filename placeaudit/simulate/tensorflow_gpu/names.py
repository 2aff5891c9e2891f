"""Names of devices: what the program says, and the logical CPU device that stands for it.

A simulated ``GPU:i`` is the logical device ``CPU:(first + i)`` of TensorFlow, where ``first`` is
the number of CPU devices that the program itself has (one, unless it splits its CPU).
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from typing import Final

__all__ = ["Names"]

_DEVICE: Final = re.compile(r"(?P<type>CPU|GPU):(?P<index>\d+)$")


@dataclass(slots=True)
class Names:
    """The mapping of one simulation; ``gpus`` and ``first`` may change until TensorFlow starts."""

    #: Simulated GPUs.
    gpus: int
    #: Index of the logical CPU device that stands for ``GPU:0``; those above are GPUs too, asked
    #: for but not there.
    first: int = 1

    @classmethod
    def real(cls) -> Names:
        """Of a process in which nothing is simulated."""
        return cls(0, sys.maxsize)

    def stands_for_gpu(self, index: int) -> bool:
        """Whether logical device ``CPU:index`` is a simulated GPU."""
        return self.first <= index < self.first + self.gpus

    def to_real(self, kind: str | None, index: int | None) -> tuple[str | None, int | None]:
        """What a program's ``(device type, index)`` is in this process.

        ``GPU`` without a number is the first one, as TensorFlow chooses.
        """
        if kind is None or kind.upper() != "GPU":
            return kind, index
        return "CPU", self.first + (index or 0)

    def to_shown(self, device: str) -> str:
        """The short name of a device as TensorFlow names it: ``"cpu"``, ``"GPU:0"``, ``"CPU:1"``.

        The first CPU is the host and says ``"cpu"`` as it does for every framework.
        """
        found = _DEVICE.search(device)
        if found is None:
            return device or "cpu"
        index = int(found["index"])
        if found["type"] == "CPU":
            if index >= self.first:
                return f"GPU:{index - self.first}"
            return "cpu" if index == 0 else f"CPU:{index}"
        return f"GPU:{index}"

    def to_full(self, device: str) -> str:
        """A full name as TensorFlow gives it, with ``GPU:0`` for the device that stands for it."""
        found = _DEVICE.search(device)
        if found is None or found["type"] != "CPU" or int(found["index"]) < self.first:
            return device
        return f"{device[: found.start()]}GPU:{int(found['index']) - self.first}"
