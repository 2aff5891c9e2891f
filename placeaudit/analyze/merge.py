"""What the tables of a run share when the records of its processes are merged.

Text, stacks and storages are interned per process; here they become numbers that hold for the whole
run.  Loops run over processes, stacks and strings, never over events.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from placeaudit.analyze import steps as steps_
from placeaudit.analyze.audit import Steps
from placeaudit.analyze.blocked import device_model
from placeaudit.analyze.columns import (
    Array,
    Merged,
    StringTable,
    column,
    gather,
    parts,
    remap,
    shifted,
    storage_offsets,
)
from placeaudit.analyze.operations import list_values
from placeaudit.analyze.sites import Place, locate
from placeaudit.model import Frame, Phase, Site
from placeaudit.store.narrow import narrowest
from placeaudit.store.reader import ProcessRecord, RunRecord

__all__ = ["Interned", "Merge"]

#: From this value on, ``backward`` names the ``backward()`` call only, not the forward line.
_VIA_BACKWARD = 2


@dataclass(frozen=True, slots=True)
class Interned:
    """One process's interned text and stacks, as maps to what is interned over the run."""

    record: ProcessRecord
    strings: npt.NDArray[np.int32]
    #: Site by stack: row 0 for plain events, row 1 for those seen from ``backward()`` only.
    site: npt.NDArray[np.int32]
    #: By stack: saves or loads state; runs inside a Dataset or loader.
    checkpoint: npt.NDArray[np.bool_]
    data: npt.NDArray[np.bool_]
    frames: tuple[Frame, ...]
    stacks: tuple[tuple[int, ...], ...]


class Merge:
    """The processes of a record, what they interned as numbers of the whole run, and the steps."""

    def __init__(self, record: RunRecord, own: frozenset[str]) -> None:
        self.record = record
        self._own = own
        self.strings = StringTable()
        self.sites: list[Site] = []
        self._site_ids: dict[Site, int] = {}
        self.processes = [self._process(process) for process in record.processes]
        self._storages = storage_offsets(
            [
                (
                    column(p.tables["copies"], "src_storage"),
                    column(p.tables["copies"], "dst_storage"),
                    column(p.tables["births"], "storage"),
                    column(p.tables["calls"], "storage"),
                    column(p.tables["storages"], "storage"),
                    list_values(p.tables["operations"], "inputs")[1],
                    list_values(p.tables["operations"], "outputs")[1],
                )
                for p in record.processes
            ]
        )
        counts = [len(p.stacks) for p in self.processes]
        self._first_stack = [sum(counts[:i]) for i in range(len(counts))]
        self._bounds: list[steps_.StepBounds | None] = []
        #: The hardware model in simulation, None on real devices.
        self.model = device_model(str(record.meta.get("simulated") or ""))
        self.steps = Steps("", np.zeros(0, np.int64), np.zeros(0, np.int64))

    # --- interning -----------------------------------------------------------------------------

    def _process(self, record: ProcessRecord) -> Interned:
        frames = _frames(record.tables["frames"])
        stacks = tuple(
            tuple(i for i in stack if 0 <= i < len(frames))
            for stack in record.tables["stacks"].column("frames").to_pylist()
        )
        # One row more than stacks: index -1 is "no stack".
        site = np.zeros((2, len(stacks) + 1), dtype=np.int32)
        checkpoint = np.zeros(len(stacks) + 1, dtype=np.bool_)
        data = np.zeros(len(stacks) + 1, dtype=np.bool_)
        for row, stack in enumerate((*stacks, ())):
            place = self.place([frames[i] for i in stack])
            site[0, row] = self._site(place.site)
            site[1, row] = self._site(Site(place.site.user, place.site.library, True))
            checkpoint[row], data[row] = place.checkpoint, place.data
        strings = self.strings.table(record.tables["strings"].column("text").to_pylist())
        return Interned(record, strings, site, checkpoint, data, frames, stacks)

    def place(self, frames: Sequence[Frame]) -> Place:
        """Where a stack stands in the user's code."""
        return locate(frames, via_backward=False, own=self._own)

    def _site(self, site: Site) -> int:
        found = self._site_ids.setdefault(site, len(self.sites))
        if found == len(self.sites):
            self.sites.append(site)
        return found

    def merged(self, table: str, time: str = "time_ns") -> Merged:
        """A table of all processes, in the order of its column ``time``."""
        return Merged([p.tables[table] for p in self.record.processes], time)

    def text(self, process: int, ids: Array) -> Array:
        """Indices into ``strings`` of what a process calls ``ids``."""
        return remap(ids, self.processes[process].strings)

    def storage(self, process: int, ids: Array) -> Array:
        """Storage identities of a process as they are unique over the run."""
        return shifted(ids, self._storages[process])

    def sites_of(self, process: int, stacks: Array) -> Array:
        """The sites of stacks of a process."""
        found: Array = self.processes[process].site[0, stacks]
        return found

    # --- where and when ------------------------------------------------------------------------

    def where(self, merged: Merged, table: str) -> dict[str, Any]:
        """The columns that say where an event of ``table`` happened, all but its step."""

        def rows(process: int) -> tuple[Array, Array, Array]:
            found = self.record.processes[process].tables[table]
            return column(found, "stack"), column(found, "backward"), column(found, "phase")

        def sites(process: int) -> Array:
            stack, backward, _ = rows(process)
            known = self.processes[process].site
            out = np.empty(len(stack), dtype=narrowest(-1, len(self.sites)))
            for part in parts(len(out)):
                out[part] = known[(backward[part] >= _VIA_BACKWARD).astype(np.int8), stack[part]]
            return out

        def phases(process: int) -> Array:
            stack, _, phase = rows(process)
            saves = gather(self.processes[process].checkpoint, stack)
            return np.where(saves, np.int8(Phase.CHECKPOINT), phase)

        def stacks(process: int) -> Array:
            return shifted(rows(process)[0], self._first_stack[process])

        return {
            "site": merged.derive(np.int32, sites),
            "stack": merged.derive(np.int32, stacks),
            "thread": merged.take("thread", np.int64),
            "phase": merged.derive(np.int8, phases),
            "module": merged.take("module", np.int32, self.text),
            "backward": merged.take("backward", np.int8),
            "process": merged.process(),
        }

    def steps_at(self, time: Array, process: Array) -> npt.NDArray[np.int32]:
        """Steps of events; a process without steps of its own follows the main one by time."""
        if len(self._bounds) == 1:
            return steps_.steps_of(time, self._bounds[0])
        out = np.full(len(time), -1, dtype=np.int32)
        for index, bounds in enumerate(self._bounds):
            mine = np.flatnonzero(process == index)
            out[mine] = steps_.steps_of(time[mine], bounds)
        return out

    def settle_steps(self, found: list[steps_.StepBounds | None]) -> None:
        """Take these steps, one entry a process; those of most steps are the run's."""
        most = max(found, key=lambda b: len(b.end_ns) if b else 0, default=None)
        self.steps = steps_.as_steps(most)
        # A helper process that happens to call a module once has no steps of its own.
        self._bounds = [b if b is not None and len(b.end_ns) > 1 else most for b in found]

    def judge(self, where: dict[str, Any], time: Array) -> None:
        """Add ``step`` and ``steady``, and name the phase of what no hook named."""
        where["step"] = self.steps_at(time, where["process"])
        count = len(self.steps)
        phase = where["phase"] = where["phase"].copy()
        where["steady"] = steps_.steady_events(where["step"], where["site"], count)
        where["steady"] &= phase != int(Phase.SETUP)  # said so by its recorder, in a later step
        idle = ~where["steady"] & (phase == int(Phase.OTHER))
        phase[idle & (where["step"] == 0)] = int(Phase.SETUP)
        phase[idle & (where["step"] >= count)] = int(Phase.TEARDOWN)

    def stacks(self) -> tuple[tuple[Frame, ...], ...]:
        """Whole call stacks, process after process (``where`` counts on it)."""
        return tuple(
            tuple(process.frames[i] for i in stack)
            for process in self.processes
            for stack in process.stacks
        )


def _frames(table: pa.Table) -> tuple[Frame, ...]:
    """The interned frames of a process."""
    return tuple(
        Frame(
            row["file"], row["function"], row["line"], row["end_line"], row["col"],
            row["end_col"], row["package"],
        )
        for row in table.to_pylist()
    )  # fmt: skip
