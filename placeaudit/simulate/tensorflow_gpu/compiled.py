"""Functions that ask for XLA run as other functions do.

XLA compiles for the device that a function's variables are on, and a logical CPU device that stands
for a GPU is none to it.  Keras asks for XLA of its own accord wherever a GPU is listed
(``jit_compile="auto"``), so this is what ``model.fit`` would fail of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tensorflow.python.eager.polymorphic_function import polymorphic_function

if TYPE_CHECKING:
    from placeaudit.simulate.tensorflow_gpu.patches import Patches

__all__ = ["add_compiled"]

_ASKS: Final = "_jit_compile"


def add_compiled(patches: Patches) -> None:
    """No function is compiled by XLA from now on, those that exist included."""

    def read(function: Any) -> Any:
        asked = vars(function).get(_ASKS)
        return None if asked else asked

    def write(function: Any, asked: Any) -> None:
        vars(function)[_ASKS] = asked

    # A property of the class comes before what stands in the instance, and leaves it there.
    patches.replace(polymorphic_function.Function, _ASKS, property(read, write))
