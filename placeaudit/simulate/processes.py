"""New interpreters that ``multiprocessing`` spawns simulate what their parent does.

What it sends them to prepare themselves carries an object that installs the simulation when it is
unpickled, before anything of the program runs.  (Forked children are refused devices, as on CUDA.)
"""

from __future__ import annotations

import multiprocessing.spawn
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["simulate_in_children"]

_DATA_KEY: Final = "placeaudit_simulation"

#: Unpickling this in a child must work, and do nothing, where placeaudit cannot be imported.
_START: Final = """
try:
    from placeaudit.simulate.processes import install_in_child
except ImportError:
    pass
else:
    install_in_child({spec!r})
"""


def install_in_child(spec: str) -> None:
    """Simulate from now on, unless something does already."""
    from placeaudit.simulate import torch_cuda
    from placeaudit.simulate.spec import SimulationSpec

    if torch_cuda.active() is None:
        torch_cuda.install(SimulationSpec.parse(spec))


class _Activation:
    """Installs a simulation where it is unpickled."""

    def __init__(self, spec: str) -> None:
        self._code = _START.format(spec=spec)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str, dict[str, Any]]]:
        return exec, (self._code, {})


def simulate_in_children(spec: str) -> Callable[[], None]:
    """Have spawned interpreters simulate ``spec``; returns the undo."""
    original = multiprocessing.spawn.get_preparation_data

    def get_preparation_data(name: str) -> dict[str, Any]:
        # First, so that a recorder that starts there too finds the devices.
        return {_DATA_KEY: _Activation(spec), **original(name)}

    multiprocessing.spawn.get_preparation_data = get_preparation_data

    def undo() -> None:
        if multiprocessing.spawn.get_preparation_data is get_preparation_data:
            multiprocessing.spawn.get_preparation_data = original

    return undo
