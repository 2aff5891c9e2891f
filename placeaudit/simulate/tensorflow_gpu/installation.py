"""Switching simulated GPUs for TensorFlow on and off.

Importing this module imports TensorFlow; nothing changes before :func:`install`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import tensorflow as tf

from placeaudit.errors import SimulationError
from placeaudit.simulate.tensorflow_gpu.compiled import add_compiled_steps
from placeaudit.simulate.tensorflow_gpu.devices import add_devices, started
from placeaudit.simulate.tensorflow_gpu.kernels import TABLES, KernelTable, table_name
from placeaudit.simulate.tensorflow_gpu.names import Names
from placeaudit.simulate.tensorflow_gpu.patches import Patches
from placeaudit.simulate.tensorflow_gpu.placement import Placement, add_placement
from placeaudit.simulate.tensorflow_gpu.shown import add_shown_devices

if TYPE_CHECKING:
    from placeaudit.simulate.spec import SimulationSpec

__all__ = ["Installation", "active", "install"]


@dataclass(slots=True)
class _Process:
    """What exists once in a process."""

    installation: Installation | None = None


_process: Final = _Process()


class Installation:
    """A simulation that is on; made by :func:`install`."""

    def __init__(self, spec: SimulationSpec) -> None:
        self.spec = spec
        self.names = Names(spec.count)
        self.kernels = KernelTable.shipped(tf.__version__)
        self._patches = Patches()

    def install(self) -> None:
        """Switch on."""
        try:
            add_devices(self._patches, self.names, self.spec.count, self.spec.device)
            add_shown_devices(self._patches, self.names)
            placement = Placement(self.names, self.kernels)
            add_placement(self._patches, placement)
            add_compiled_steps(self._patches, placement)
        except BaseException:
            self._patches.undo()
            raise
        _process.installation = self

    def uninstall(self) -> None:
        """Put TensorFlow back; a runtime that has started keeps its logical devices."""
        if _process.installation is self:
            _process.installation = None
        self._patches.undo()


def install(spec: SimulationSpec) -> Installation:
    """Simulate ``spec`` in this process from now on.

    Raises:
        SimulationError: this TensorFlow's kernels are not known, its runtime has started already,
            or a real GPU is there.
    """
    if _process.installation is not None:
        raise SimulationError(f"{_process.installation.spec} is simulated already")
    if table_name(tf.__version__) not in TABLES:
        known = ", ".join(name.removeprefix("tf_").replace("_", ".") for name in sorted(TABLES))
        raise SimulationError(
            f"simulated GPUs need the kernel table of TensorFlow {tf.__version__}, which does not "
            f"ship with placeaudit (it has {known}); "
            "`python -m placeaudit.simulate.tensorflow_gpu.derive` makes it"
        )
    if started():
        raise SimulationError(
            "TensorFlow has started already: its devices cannot be chosen any more; "
            "simulate before the first operation"
        )
    if tf.config.list_physical_devices("GPU"):
        raise SimulationError(
            "this machine has a GPU in use by TensorFlow; set CUDA_VISIBLE_DEVICES='' to simulate "
            "instead, or trace without --simulate to audit the real one"
        )
    installation = Installation(spec)
    installation.install()
    return installation


def active() -> Installation | None:
    """The simulation that is on in this process, if any."""
    return _process.installation
