"""Where an operation of a graph was traced, in the program's own lines.

AutoGraph runs Python that it generated.  TensorFlow leads lines of that back to the program's, but
only in the thread that began to trace: replicas of a strategy are traced in threads of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tensorflow.python.autograph.impl import api

if TYPE_CHECKING:
    from placeaudit.record.tensorflow.patches import PatchSet

__all__ = ["Place", "add_origins", "places_of"]

#: File, line and function.
Place = tuple[str, int, str]

_GENERATED: Final = "__autograph_generated_file"
#: Line of generated code -> where it is from.
_ORIGINS: Final[dict[tuple[str, int], Place]] = {}


def add_origins(patches: PatchSet) -> None:
    """Keep what AutoGraph knows of the code that it generates."""
    if hasattr(api, "_convert_actual"):  # a version without it shows the generated lines
        patches.wrap(api, "_convert_actual", _converted)


def _converted(original: Callable[..., Any]) -> Callable[..., Any]:
    def _convert_actual(*args: Any, **kwargs: Any) -> Any:
        function = original(*args, **kwargs)
        for at, origin in getattr(function, "ag_source_map", {}).items():
            found = origin.loc
            _ORIGINS[at.filename, at.lineno] = (
                found.filename, found.lineno, origin.function_name or ""
            )  # fmt: skip
        return function

    return _convert_actual


def places_of(operation: Any) -> list[Place]:
    """The stack with which an operation was added to its graph, innermost first."""
    kept = ((f.filename, f.lineno, f.name) for f in reversed(operation.traceback))
    places = (_ORIGINS.get(place[:2], place) for place in kept)
    found = list(places)
    own = [place for place in found if not Path(place[0]).name.startswith(_GENERATED)]
    return own or found
