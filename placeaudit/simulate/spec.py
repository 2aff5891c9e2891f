"""What to simulate: the ``cuda[:N][=MODEL]`` of ``--simulate`` and ``placeaudit.simulate``."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import Final

from placeaudit.errors import SimulationSpecError
from placeaudit.simulate.hardware import DEVICES, DeviceModel

__all__ = ["DEFAULT_MODEL", "MAX_DEVICES", "SimulationSpec"]

DEFAULT_MODEL: Final = "h100"

#: c10's FakeGuardImpl, on which simulated CUDA stands, knows eight devices.
MAX_DEVICES: Final = 8

_PATTERN: Final = re.compile(r"(?P<backend>[a-z]+)(?::(?P<count>\d+))?(?:=(?P<model>[\w-]+))?")


@dataclass(frozen=True, slots=True)
class SimulationSpec:
    """Which devices to simulate: ``count`` devices of hardware ``model`` behind ``backend``."""

    backend: str = "cuda"
    count: int = 1
    model: str = DEFAULT_MODEL

    @classmethod
    def parse(cls, text: str) -> SimulationSpec:
        """Read ``cuda``, ``cuda:2`` or ``cuda:2=a100``.

        The number is the count of devices (1 to 8), the name a hardware model of
        :data:`placeaudit.simulate.hardware.DEVICES`.

        Raises:
            SimulationSpecError: the text is none of these; the message says what would be.
        """
        match = _PATTERN.fullmatch(text.strip().lower())
        if match is None:
            raise SimulationSpecError(
                f"cannot simulate {text!r}: write cuda, cuda:N (N devices) or cuda:N=MODEL"
            )
        if match["backend"] != "cuda":
            raise SimulationSpecError(
                f"cannot simulate {match['backend']!r}: the only backend is 'cuda'"
            )
        count = int(match["count"] or 1)
        if not 1 <= count <= MAX_DEVICES:
            raise SimulationSpecError(
                f"cannot simulate {count} devices: cuda:N takes 1 to {MAX_DEVICES}"
            )
        model = match["model"] or DEFAULT_MODEL
        if model not in DEVICES:
            near = difflib.get_close_matches(model, DEVICES, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(DEVICES)}"
            raise SimulationSpecError(f"unknown hardware model {model!r}; {hint}")
        return cls("cuda", count, model)

    @property
    def device(self) -> DeviceModel:
        """The hardware model."""
        return DEVICES[self.model]

    def __str__(self) -> str:
        return f"{self.backend}:{self.count}={self.model}"
