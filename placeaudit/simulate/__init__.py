"""Devices that are not there: the unmodified program runs on them as on real ones.

>>> with simulate("cuda:2"):
...     train()
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from placeaudit.inherit import SIMULATE_VARIABLE, hand_down
from placeaudit.simulate.spec import SimulationSpec

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["SimulationSpec", "simulate"]


@contextlib.contextmanager
def simulate(spec: str | SimulationSpec = "cuda") -> Iterator[SimulationSpec]:
    """Simulate CUDA devices inside the block; nested uses keep the outer devices.

    PyTorch and TensorFlow both get them, each once it is imported.

    Args:
        spec: ``"cuda"``, ``"cuda:2"`` (two devices) or ``"cuda:2=a100"`` (of that hardware model).

    Yields:
        What is simulated.

    Raises:
        SimulationSpecError: the specification does not parse.
        SimulationError: this machine, system or framework cannot; everything was put back.
    """
    wanted = spec if isinstance(spec, SimulationSpec) else SimulationSpec.parse(spec)
    from placeaudit.simulate import frameworks

    outer = frameworks.active()
    if outer is not None:
        yield outer
        return
    end = frameworks.begin(wanted)
    forget_children = hand_down({SIMULATE_VARIABLE: str(wanted)})
    try:
        yield wanted
    finally:
        forget_children()
        end()
