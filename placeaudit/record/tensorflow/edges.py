"""Edges of compiled graphs: tensors that cross devices in each call."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from placeaudit.model import HashKind
from placeaudit.record.content import hash_bytes
from placeaudit.record.sites import package_of

if TYPE_CHECKING:
    from types import FrameType

    from placeaudit.record.tensorflow.context import Known
    from placeaudit.record.tensorflow.graph_fallbacks import Fallen
    from placeaudit.record.tensorflow.windows import Regions

__all__ = ["Compiled", "Edge", "SizeWait", "fed_tensor", "hash_array", "user_line"]

#: How a session calls the argument that a feed becomes.
_FED: Final = re.compile(r"_arg_(.+)_(\d+)_\d+$")


@dataclass(frozen=True, slots=True)
class Edge:
    """One tensor that crosses devices in each call of a function."""

    source: Known
    target: Known
    #: Operation that made it, by its name in the graph.
    node: str
    #: Type of that operation: "MatMul".
    operation: str
    dtype: str
    itemsize: int
    #: None for a size that the graph leaves open (the batch); empty for a scalar.
    shape: tuple[int | None, ...] | None
    stack: int
    phase: int
    module: int
    #: The host waits for it: the caller asked for its value.
    waits: bool = False
    #: Which of that operation's outputs.
    port: int = 0
    #: Name of the tensor that a session was given or handed out: its value is known.
    tensor: str = ""
    #: The user's line that called, where ``stack`` ends there: no code of the user's is inside.
    caller: tuple[str, int] | None = None
    #: The loop or branch that makes it, "" for none, and the ``_Send`` that carries it.
    region: str = ""
    send: str = ""

    def sizes(self, batch: int | None) -> tuple[int, ...] | None:
        """The shape of a call whose input holds ``batch`` examples; None if it stays unknown."""
        if self.shape is None:
            return None
        sizes = [batch if size is None else size for size in self.shape]
        return None if None in sizes else tuple(size for size in sizes if size is not None)

    def bytes(self, batch: int | None) -> int | None:
        """Its size in such a call."""
        sizes = self.sizes(batch)
        return None if sizes is None else self.itemsize * math.prod(sizes)


@dataclass(frozen=True, slots=True)
class SizeWait:
    """A wait of the host in each call of a function, for the size of what was computed."""

    operation: str
    device: Known
    stack: int
    phase: int
    module: int
    region: str = ""


@dataclass(frozen=True, slots=True)
class Compiled:
    """What a call of one function does besides computing."""

    edges: tuple[Edge, ...] = ()
    waits: tuple[SizeWait, ...] = ()
    #: What runs elsewhere than asked.
    fallen: tuple[Fallen, ...] = ()
    #: Reductions between replicas: no copies, they are told apart.
    collectives: tuple[str, ...] = ()
    #: Its loops and branches, where something above happens in one.
    regions: Regions | None = None


def fed_tensor(name: str) -> str:
    """The tensor "x:0" that became the argument ``_arg_x_0_3`` of a session's graph; else ""."""
    found = _FED.match(name)
    return f"{found[1]}:{found[2]}" if found is not None else ""


def hash_array(array: np.ndarray[Any, Any]) -> tuple[int, int]:
    """``(hash, HashKind)`` of an array's content, nothing for one that is not contiguous."""
    if not array.flags.c_contiguous or array.dtype.hasobject:
        return 0, int(HashKind.NONE)
    return hash_bytes(array.ctypes.data, array.nbytes)


def user_line(frame: FrameType | None) -> tuple[str, int] | None:
    """File and line of the user's innermost frame."""
    while frame is not None:
        file = frame.f_code.co_filename
        if not package_of(file):
            return file, frame.f_lineno
        frame = frame.f_back
    return None
