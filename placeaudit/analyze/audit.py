"""The analysed run: what rules and reporters read.  Plain columns; nothing here touches disk.

Events of all processes stand in one set of NumPy columns, ordered by time.  Integers are as narrow
as the run allows (times, bytes and hashes are not): widen them before multiplying.  Text is
interned once for the whole run: integer columns that name a device, dtype, operator or module
index ``Audit.strings``; -1 is "none".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from placeaudit.analyze.datasets import Datasets
from placeaudit.analyze.vector_operations import VectorOperations
from placeaudit.model import Frame, Site

__all__ = [
    "Audit",
    "Births",
    "Calls",
    "Copies",
    "Events",
    "Fallbacks",
    "Note",
    "Operations",
    "Placements",
    "RunMeta",
    "Spans",
    "Steps",
    "Storages",
    "Waits",
    "Windows",
]

Ints = npt.NDArray[np.int64]
SmallInts = npt.NDArray[np.int32]
Bools = npt.NDArray[np.bool_]
Hashes = npt.NDArray[np.uint64]

#: Codes of ``Copies.direction``, in the order of ``placeaudit.model.Direction``.
H2D, D2H, D2D = 0, 1, 2


@dataclass(frozen=True, slots=True)
class RunMeta:
    """Facts about the run as a whole."""

    path: str
    argv: tuple[str, ...]
    cwd: str
    started_unix_s: float
    duration_s: float
    #: Hardware model the device was simulated as ("h100"), "" for real devices.
    simulated: str
    #: Devices seen or simulated, e.g. ("cuda:0", "cuda:1").
    devices: tuple[str, ...]
    #: Versions by package: "python", "torch", "placeaudit".
    versions: Mapping[str, str]
    #: Exit code of the traced program, None if it did not end regularly.
    exit_code: int | None
    #: Process directory names, in the order of ``Copies.process``.
    processes: tuple[str, ...]
    #: Memory of each device, bytes, where it is known (in simulation: of the hardware model).
    memory_bytes: Mapping[str, int] = field(default_factory=dict)
    #: Whether the second device reaches the first one's memory directly, where it is known.
    peers: Mapping[tuple[str, str], bool] = field(default_factory=dict)
    #: For each process the devices it had initialised when it ended, with the bytes allocated there
    #: over its life; None where the process did not come to say.
    contexts: tuple[Mapping[str, int] | None, ...] = ()

    #: Rank of each process as its launcher told it; None outside of a launch.
    ranks: tuple[int | None, ...] = ()

    @property
    def basis(self) -> str:
        """``"measured"`` or ``"modelled on h100"``: what every time figure of this run is."""
        return f"modelled on {self.simulated}" if self.simulated else "measured"


@dataclass(frozen=True, slots=True)
class Copies:
    """Columns of the copies that crossed devices, ordered by ``time_ns``."""

    time_ns: Ints
    #: Host time the call really took (in simulation: of the simulation, not of a device).
    host_ns: Ints
    #: Host time blocked: measured, or by the link model in simulation; 0 where nothing waits.
    blocked_ns: Ints
    direction: npt.NDArray[np.int8]
    src_device: SmallInts
    dst_device: SmallInts
    bytes: Ints
    src_dtype: SmallInts
    dst_dtype: SmallInts
    shape: SmallInts
    pinned: Bools
    non_blocking: Bools
    waits: Bools
    #: Storage identities are unique over the whole run.
    src_storage: Ints
    dst_storage: Ints
    src_version: Ints
    dst_version: Ints
    content_hash: Hashes
    hash_kind: npt.NDArray[np.int8]
    operation: SmallInts
    #: Index into ``Audit.births``, -1 where the source was not made by a recorded factory.
    src_birth: SmallInts
    #: Index into ``Audit.sites``.
    site: SmallInts
    #: Index into ``Audit.stacks``, -1 where none is known.
    stack: SmallInts
    thread: Ints
    phase: npt.NDArray[np.int8]
    module: SmallInts
    #: As in the schema: 0 no, 1 forward line, 2 backward() call, 3 nothing known.
    backward: npt.NDArray[np.int8]
    process: npt.NDArray[np.int16]
    #: Step the event fell into: 0 is the first step; -1 where no step can be told.
    step: SmallInts
    #: True in steady state: after the first step ended and before teardown (RULES, "steps").
    steady: Bools
    #: Reason of the ``placeaudit.allow()`` it ran in, in ``Audit.strings``; -1 where in none.
    allowed: SmallInts

    def __len__(self) -> int:
        return len(self.time_ns)


class Waits:
    """Columns of every host wait, those that a copy makes included (``copy`` >= 0).

    Most waits are those of copies: a column is put together when it is first asked for.
    """

    time_ns: Ints
    host_ns: Ints
    blocked_ns: Ints
    cause: SmallInts
    device: SmallInts
    #: Index into ``Copies``, -1 where no copy made the wait.
    copy: SmallInts
    site: SmallInts
    stack: SmallInts
    thread: Ints
    phase: npt.NDArray[np.int8]
    module: SmallInts
    backward: npt.NDArray[np.int8]
    process: npt.NDArray[np.int16]
    step: SmallInts
    steady: Bools
    #: Reason of the ``placeaudit.allow()`` it ran in, in ``Audit.strings``; -1 where in none.
    allowed: SmallInts

    def __init__(
        self,
        own: Mapping[str, npt.NDArray[Any]],
        copies: Copies,
        made: SmallInts,
        order: SmallInts,
    ) -> None:
        """``own`` are the columns of waits that no copy makes, ``made`` the copies that wait.

        ``order`` sorts both, one after the other, by time.
        """
        self._own = own
        self._copies = copies
        self._made = made
        self._order = order

    def __getattr__(self, name: str) -> npt.NDArray[Any]:
        if name.startswith("_") or name not in Waits.__annotations__:
            raise AttributeError(name)
        values = np.concatenate([self._own[name], self._of_copies(name)])[self._order]
        setattr(self, name, values)
        return values

    @property
    def alone(self) -> Waits:
        """The waits that no copy makes, as waits of their own: their rows are other ones."""
        found = self.__dict__.get("_alone")
        if found is None:
            count = len(self._own["time_ns"])
            none, every = (np.arange(length, dtype=np.int32) for length in (0, count))
            found = self._alone = Waits(self._own, self._copies, none, every)
        return cast("Waits", found)

    def own(self, name: str) -> npt.NDArray[Any]:
        """The column ``name`` of the waits that no copy makes."""
        return self._own[name]

    def _of_copies(self, name: str) -> npt.NDArray[Any]:
        """The column ``name`` of the copies that wait."""
        copies, made = self._copies, self._made
        if name == "copy":
            return made
        if name == "device":
            return np.where(
                copies.direction[made] == H2D, copies.dst_device[made], copies.src_device[made]
            )
        column = copies.operation if name == "cause" else getattr(copies, name)
        return np.asarray(column[made])

    def __len__(self) -> int:
        return len(self._order)


@dataclass(frozen=True, slots=True)
class Births:
    """Host tensors made by a factory, or loaded from a file, that were uploaded later."""

    time_ns: Ints
    #: "factory" or "load", in ``Audit.strings``.
    kind: SmallInts
    storage: Ints
    site: SmallInts
    thread: Ints
    step: SmallInts


@dataclass(frozen=True, slots=True)
class Calls:
    """Calls that neither copy between devices nor wait: ``kind`` "pin_memory", "next"."""

    time_ns: Ints
    #: Host time the call took: all of it blocks the host.
    blocked_ns: Ints
    kind: SmallInts
    bytes: Ints
    #: Storage of the tensor it returned, comparable with those of copies; for "next" the dataset.
    storage: Ints
    site: SmallInts
    stack: SmallInts
    thread: Ints
    phase: npt.NDArray[np.int8]
    module: SmallInts
    backward: npt.NDArray[np.int8]
    process: npt.NDArray[np.int16]
    step: SmallInts
    steady: Bools

    def __len__(self) -> int:
        return len(self.time_ns)


@dataclass(frozen=True, slots=True)
class Fallbacks:
    """Operations that ran elsewhere than they were asked to; text columns as in ``Copies``."""

    time_ns: Ints
    operation: SmallInts
    requested: SmallInts
    actual: SmallInts
    #: "no device", "no kernel", "resource".
    reason: SmallInts
    dtypes: SmallInts
    site: SmallInts
    stack: SmallInts
    thread: Ints
    phase: npt.NDArray[np.int8]
    module: SmallInts
    backward: npt.NDArray[np.int8]
    process: npt.NDArray[np.int16]
    step: SmallInts
    steady: Bools

    def __len__(self) -> int:
        return len(self.time_ns)


#: A table of what happened at sites.
Events = Copies | Waits | Calls | Fallbacks | VectorOperations


@dataclass(frozen=True, slots=True)
class Operations:
    """Every operation of the window by time; what each takes and makes stands in flat columns.

    ``first_use[i]`` to ``first_use[i + 1]`` are the tensors that operation ``i`` takes, the same
    with ``first_made`` for the storages it made and left alive.
    """

    time_ns: Ints
    duration_ns: Ints
    name: SmallInts
    #: 0 computes, 1 makes a view, 2 copies between devices, 3 memory left PyTorch.
    kind: npt.NDArray[np.int8]
    phase: npt.NDArray[np.int8]
    process: npt.NDArray[np.int16]
    #: Index into ``Copies`` of a copy between devices, else -1.
    copy: SmallInts
    first_use: Ints
    use_storage: Ints
    use_bytes: Ints
    use_device: SmallInts
    use_dtype: SmallInts
    #: 0 reads, 1 takes a view, 2 reads and writes, 3 writes without reading.
    use_access: npt.NDArray[np.int8]
    first_made: Ints
    made_storage: Ints
    made_bytes: Ints
    made_device: SmallInts
    made_dtype: SmallInts

    def __len__(self) -> int:
        return len(self.time_ns)


@dataclass(frozen=True, slots=True)
class Storages:
    """Storages that operations of the window took or made."""

    storage: Ints
    #: An earlier storage of the same memory, -1 where there is none.
    same_as: Ints
    bytes: Ints
    #: -1: it lived before the window.
    born_ns: Ints
    #: -1: it outlived the window.
    died_ns: Ints


@dataclass(frozen=True, slots=True)
class Windows:
    """When operations were collected, a step or the first operations in each row."""

    start_ns: Ints
    end_ns: Ints
    name: SmallInts
    #: Other Python threads, whose operations are unseen.
    others: SmallInts
    process: npt.NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Spans:
    """Host intervals: optimizer steps, backward passes, outermost modules, loader waits."""

    kind: SmallInts
    name: SmallInts
    owner: Ints
    start_ns: Ints
    end_ns: Ints
    thread: Ints
    process: npt.NDArray[np.int16]
    step: SmallInts


@dataclass(frozen=True, slots=True)
class Placements:
    """The census of tensors; columns as in the schema, text interned."""

    time_ns: Ints
    kind: SmallInts
    owner: SmallInts
    name: SmallInts
    device: SmallInts
    dtype: SmallInts
    shape: SmallInts
    bytes: Ints
    expected_device: SmallInts
    #: Of the owner, as in ``Spans.owner``; -1 where it is not known.
    identity: Ints
    #: Of the call whose hook took the census.
    site: SmallInts
    process: npt.NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Steps:
    """How steps were told, and their bounds.

    ``how`` is a phrase for people ("optimizer Adam", "backward()", "placeaudit.step()",
    "module Net", "a recurring copy"), "" where no step could be told.  Step ``i`` spans
    ``start_ns[i]`` to ``end_ns[i]``; per process the arrays of the process with most steps.
    """

    how: str
    start_ns: Ints
    end_ns: Ints

    def __len__(self) -> int:
        return len(self.end_ns)


@dataclass(frozen=True, slots=True)
class Note:
    """What the record says about its own quality (PA9xx)."""

    rule: str
    text: str
    frame: Frame | None = None


@dataclass(frozen=True, slots=True)
class Audit:
    """Everything that rules and reporters may look at."""

    meta: RunMeta
    copies: Copies
    waits: Waits
    births: Births
    calls: Calls
    fallbacks: Fallbacks
    vectors: VectorOperations
    datasets: Datasets
    operations: Operations
    storages: Storages
    windows: Windows
    spans: Spans
    placements: Placements
    steps: Steps
    sites: tuple[Site, ...]
    #: Whole call stacks, innermost frame first.
    stacks: tuple[tuple[Frame, ...], ...]
    strings: tuple[str, ...]
    notes: tuple[Note, ...]
    #: Source text by file, as it was when recorded.
    sources: Mapping[str, str]

    @property
    def whole(self) -> bool:
        """Whether every process recorded all that happened, up to its regular end."""
        return not any(note.rule == "PA901" for note in self.notes)

    def text(self, index: int) -> str:
        """The interned string, "" for -1."""
        return self.strings[index] if index >= 0 else ""
