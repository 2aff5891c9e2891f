"""From the record of a run to its audit: one pure function, NumPy throughout.

Processes are merged, stacks become sites, steps are told, blocked time is measured or modelled.
Loops run over processes, stacks and strings, never over events.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from placeaudit.analyze import steps as steps_
from placeaudit.analyze.audit import (
    D2D,
    D2H,
    H2D,
    Audit,
    Births,
    Calls,
    Copies,
    Note,
    Operations,
    Placements,
    RunMeta,
    Spans,
    Steps,
    Storages,
    Waits,
    Windows,
)
from placeaudit.analyze.blocked import copies_blocked_ns, device_model, waits_blocked_ns
from placeaudit.analyze.columns import (
    Array,
    Merged,
    StringTable,
    column,
    distinct,
    gather,
    look_up,
    parts,
    remap,
    shifted,
    storage_offsets,
)
from placeaudit.analyze.operations import list_values, operations_of, storages_of, windows_of
from placeaudit.analyze.sites import Place, locate
from placeaudit.model import Frame, Phase, Site, is_host
from placeaudit.store.narrow import narrowest
from placeaudit.store.reader import ProcessRecord, RunRecord

__all__ = ["analyze"]

_HOST: Final = "cpu"


def analyze(record: RunRecord, *, own: Sequence[str] = ()) -> Audit:
    """Everything rules and reporters need to know about ``record``.

    ``own`` names installed packages whose frames count as the user's code.
    """
    merge = _Merge(record, frozenset(own))
    spans = merge.spans()
    copies = merge.copies()
    waits = merge.waits(copies)
    births = merge.births()
    calls = merge.calls()
    operations, storages, windows = merge.window(copies)
    return Audit(
        meta=merge.meta(copies, waits, spans),
        copies=copies,
        waits=waits,
        births=births,
        calls=calls,
        operations=operations,
        storages=storages,
        windows=windows,
        spans=spans,
        placements=merge.placements(),
        steps=merge.steps,
        sites=tuple(merge.sites),
        stacks=merge.stacks(),
        strings=tuple(merge.strings.texts),
        notes=merge.notes(copies),
        sources=merge.sources(),
    )


@dataclass(frozen=True, slots=True)
class _Process:
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


class _Merge:
    """Holds what the merged tables share."""

    def __init__(self, record: RunRecord, own: frozenset[str]) -> None:
        self._record = record
        self._own = own
        self.strings = StringTable()
        self.sites: list[Site] = []
        self._site_ids: dict[Site, int] = {}
        self._processes = [self._process(process) for process in record.processes]
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
        counts = [len(p.stacks) for p in self._processes]
        self._first_stack = [sum(counts[:i]) for i in range(len(counts))]
        self._model = device_model(str(record.meta.get("simulated") or ""))
        self._births = [_first_rows(process, i) for i, process in enumerate(record.processes)]
        self._bounds: list[steps_.StepBounds | None] = []
        self.steps = Steps("", np.zeros(0, np.int64), np.zeros(0, np.int64))

    # --- interning -----------------------------------------------------------------------------

    def _process(self, record: ProcessRecord) -> _Process:
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
            place = self._place([frames[i] for i in stack])
            site[0, row] = self._site(place.site)
            site[1, row] = self._site(Site(place.site.user, place.site.library, True))
            checkpoint[row], data[row] = place.checkpoint, place.data
        strings = self.strings.table(record.tables["strings"].column("text").to_pylist())
        return _Process(record, strings, site, checkpoint, data, frames, stacks)

    def _place(self, frames: Sequence[Frame]) -> Place:
        return locate(frames, via_backward=False, own=self._own)

    def _site(self, site: Site) -> int:
        found = self._site_ids.setdefault(site, len(self.sites))
        if found == len(self.sites):
            self.sites.append(site)
        return found

    def _merged(self, table: str, time: str = "time_ns") -> Merged:
        return Merged([p.tables[table] for p in self._record.processes], time)

    def _text(self, process: int, ids: Array) -> Array:
        return remap(ids, self._processes[process].strings)

    def _storage(self, process: int, ids: Array) -> Array:
        return shifted(ids, self._storages[process])

    # --- where and when ------------------------------------------------------------------------

    def _where(self, merged: Merged, table: str) -> dict[str, Any]:
        def rows(process: int) -> tuple[Array, Array, Array]:
            found = self._record.processes[process].tables[table]
            return column(found, "stack"), column(found, "backward"), column(found, "phase")

        def sites(process: int) -> Array:
            stack, backward, _ = rows(process)
            known = self._processes[process].site
            out = np.empty(len(stack), dtype=narrowest(-1, len(self.sites)))
            for part in parts(len(out)):
                out[part] = known[(backward[part] >= 2).astype(np.int8), stack[part]]  # noqa: PLR2004
            return out

        def phases(process: int) -> Array:
            stack, _, phase = rows(process)
            saves = gather(self._processes[process].checkpoint, stack)
            return np.where(saves, np.int8(Phase.CHECKPOINT), phase)

        def stacks(process: int) -> Array:
            return shifted(rows(process)[0], self._first_stack[process])

        return {
            "site": merged.derive(np.int32, sites),
            "stack": merged.derive(np.int32, stacks),
            "thread": merged.take("thread", np.int64),
            "phase": merged.derive(np.int8, phases),
            "module": merged.take("module", np.int32, self._text),
            "backward": merged.take("backward", np.int8),
            "process": merged.process(),
        }

    def _steps(self, time: Array, process: Array) -> npt.NDArray[np.int32]:
        """Steps of events; a process without steps of its own follows the main one by time."""
        if len(self._bounds) == 1:
            return steps_.steps_of(time, self._bounds[0])
        out = np.full(len(time), -1, dtype=np.int32)
        for index, bounds in enumerate(self._bounds):
            mine = np.flatnonzero(process == index)
            out[mine] = steps_.steps_of(time[mine], bounds)
        return out

    def _settle_steps(self, found: list[steps_.StepBounds | None]) -> None:
        most = max(found, key=lambda b: len(b.end_ns) if b else 0, default=None)
        self.steps = steps_.as_steps(most)
        # A helper process that happens to call a module once has no steps of its own.
        self._bounds = [b if b is not None and len(b.end_ns) > 1 else most for b in found]

    def _judge(self, where: dict[str, Any], time: Array) -> None:
        """Add ``step`` and ``steady``, and name the phase of what no hook named."""
        where["step"] = self._steps(time, where["process"])
        count = len(self.steps)
        where["steady"] = steps_.steady_events(where["step"], where["site"], count)
        phase = where["phase"] = where["phase"].copy()
        idle = ~where["steady"] & (phase == int(Phase.OTHER))
        phase[idle & (where["step"] == 0)] = int(Phase.SETUP)
        phase[idle & (where["step"] >= count)] = int(Phase.TEARDOWN)

    # --- tables --------------------------------------------------------------------------------

    def spans(self) -> Spans:
        """The spans of all processes; settles how steps are told."""
        tables = [
            steps_.SpanTable(
                texts=p.record.tables["strings"].column("text").to_pylist(),
                **{
                    name: column(p.record.tables["spans"], name)
                    for name in ("kind", "name", "owner", "start_ns", "end_ns", "thread")
                },
            )
            for p in self._processes
        ]
        self._settle_steps(steps_.find_steps(tables))
        merged = self._merged("spans", "start_ns")
        process = merged.process()
        end = merged.take("end_ns", np.int64)
        return Spans(
            kind=merged.take("kind", np.int32, self._text),
            name=merged.take("name", np.int32, self._text),
            owner=merged.take("owner", np.int64),
            start_ns=merged.time,
            end_ns=end,
            thread=merged.take("thread", np.int64),
            process=process,
            step=self._steps(end, process),
        )

    def copies(self) -> Copies:
        """The copies of all processes in order of time."""
        merged = self._merged("copies")
        text, storage = self._text, self._storage
        src = merged.take("src_device", np.int32, text)
        dst = merged.take("dst_device", np.int32, text)
        where = self._where(merged, "copies")
        if not len(self.steps):
            self._settle_recurrence(merged, where)
        self._judge(where, merged.time)
        direction = self._direction(src, dst)
        size = merged.take("bytes", np.int64)
        pinned = merged.take("pinned", np.bool_)
        waits = merged.take("waits", np.bool_)
        host = merged.take("host_ns", np.int64)
        return Copies(
            time_ns=merged.time,
            host_ns=host,
            blocked_ns=copies_blocked_ns(
                self._model,
                direction=direction,
                size=size,
                pinned=pinned,
                waits=waits,
                host_ns=host,
            ),
            direction=direction,
            src_device=src,
            dst_device=dst,
            bytes=size,
            src_dtype=merged.take("src_dtype", np.int32, text),
            dst_dtype=merged.take("dst_dtype", np.int32, text),
            shape=merged.take("shape", np.int32, text),
            pinned=pinned,
            non_blocking=merged.take("non_blocking", np.bool_),
            waits=waits,
            src_storage=merged.take("src_storage", np.int64, storage),
            dst_storage=merged.take("dst_storage", np.int64, storage),
            src_version=merged.take("src_version", np.int64),
            dst_version=merged.take("dst_version", np.int64),
            content_hash=merged.take("content_hash", np.uint64),
            hash_kind=merged.take("hash_kind", np.int8),
            operation=merged.take("operation", np.int32, text),
            src_birth=merged.take("src_birth", np.int32, self._birth),
            allowed=merged.derive(np.int32, lambda process: self._allowed(process, "copies")),
            **where,
        )

    def _allowed(self, process: int, table: str) -> Array:
        """By row of a process's table: the reason of the allowance it ran in, -1 without one."""
        tables = self._record.processes[process].tables
        excused = tables["allowed"]
        return look_up(
            (column(tables[table], "time_ns"), column(tables[table], "thread")),
            (column(excused, "time_ns"), column(excused, "thread")),
            self._text(process, column(excused, "reason")),
        )

    def _settle_recurrence(self, merged: Merged, where: Mapping[str, Any]) -> None:
        """Steps by the recurrence of a copy site; moves of modules and state do not count."""
        moves = np.isin(where["site"], self._moving_sites())
        usable = ~moves & (where["phase"] != int(Phase.CHECKPOINT))
        found = steps_.recurring(merged.time[usable], where["site"][usable])
        if found is not None:
            self._settle_steps([found] * len(self._processes))

    def _moving_sites(self) -> list[int]:
        """Sites of ``Module.to`` and its kin: one call, as many copies as parameters."""
        return [
            int(process.site[0, row])
            for process in self._processes
            for row, stack in enumerate(process.stacks)
            if any(process.frames[i].function.endswith("Module._apply") for i in stack)
        ]

    def _birth(self, process: int, ids: Array) -> Array:
        """Rows of ``Births``; none for what a Dataset, loader or collate function made."""
        births, rows, data = self._births[process]
        out = np.full(len(ids), -1, dtype=np.int32)
        if not len(births):
            return out
        born = np.flatnonzero(ids >= 0)
        at = np.minimum(np.searchsorted(births, ids[born]), len(births) - 1)
        found = (births[at] == ids[born]) & ~self._processes[process].data[data[at]]
        out[born[found]] = rows[at[found]] + self._birth_offset(process)
        return out

    def _birth_offset(self, process: int) -> int:
        return sum(p.tables["births"].num_rows for p in self._record.processes[:process])

    def _direction(self, src: Array, dst: Array) -> npt.NDArray[np.int8]:
        hosts = np.array([is_host(text) for text in self.strings.texts], dtype=np.bool_)
        from_host, to_host = (remap(ids, hosts).astype(np.bool_) for ids in (src, dst))
        other = np.where(to_host, np.int8(D2H), np.int8(D2D))
        return np.where(from_host, np.int8(H2D), other)

    def waits(self, copies: Copies) -> Waits:
        """Waits of their own and those that copies make, in order of time."""
        merged = self._merged("waits")
        where = self._where(merged, "waits")
        self._judge(where, merged.time)
        cause = merged.take("cause", np.int32, self._text)
        host = merged.take("host_ns", np.int64)
        made = np.flatnonzero(copies.waits).astype(np.int32)
        times = np.concatenate([merged.time, copies.time_ns[made]])
        own = {
            "time_ns": merged.time,
            "host_ns": host,
            "blocked_ns": waits_blocked_ns(self._model, cause, self.strings.texts, host),
            "cause": cause,
            "device": merged.take("device", np.int32, self._text),
            "copy": np.full(len(merged), -1, dtype=np.int8),
            "allowed": merged.derive(np.int32, lambda process: self._allowed(process, "waits")),
            **where,
        }
        return Waits(own, copies, made, np.argsort(times, kind="stable").astype(np.int32))

    def births(self) -> Births:
        """The births of all processes, process after process (``_birth`` counts on it)."""
        tables = [p.tables["births"] for p in self._record.processes]

        def joined(make: Callable[[int], Array], dtype: Any) -> Array:
            parts = [make(process) for process in range(len(tables))]
            return np.concatenate([np.zeros(0, dtype=dtype), *parts]).astype(dtype, copy=False)

        time = joined(lambda p: column(tables[p], "time_ns"), np.int64)
        process = joined(lambda p: np.full(tables[p].num_rows, p), np.int16)
        return Births(
            time_ns=time,
            kind=joined(lambda p: self._text(p, column(tables[p], "kind")), np.int32),
            storage=joined(lambda p: self._storage(p, column(tables[p], "storage")), np.int64),
            site=joined(lambda p: self._processes[p].site[0, column(tables[p], "stack")], np.int32),
            thread=joined(lambda p: column(tables[p], "thread"), np.int64),
            step=self._steps(time, process),
        )

    def window(self, copies: Copies) -> tuple[Operations, Storages, Windows]:
        """The operation window of all processes."""
        processes = self._record.processes
        return (
            operations_of(processes, copies, self._text, self._storage),
            storages_of(processes, self._storage),
            windows_of(processes, self._text),
        )

    def calls(self) -> Calls:
        """The calls of all processes in order of time."""
        merged = self._merged("calls")
        where = self._where(merged, "calls")
        self._judge(where, merged.time)
        return Calls(
            time_ns=merged.time,
            blocked_ns=merged.take("host_ns", np.int64),
            kind=merged.take("kind", np.int32, self._text),
            bytes=merged.take("bytes", np.int64),
            storage=merged.take("storage", np.int64, self._storage),
            **where,
        )

    def stacks(self) -> tuple[tuple[Frame, ...], ...]:
        """Whole call stacks, process after process (``_where`` counts on it)."""
        return tuple(
            tuple(process.frames[i] for i in stack)
            for process in self._processes
            for stack in process.stacks
        )

    def placements(self) -> Placements:
        """The census of all processes in order of time."""
        merged = self._merged("placements")
        texts = ("kind", "owner", "name", "device", "dtype", "shape", "expected_device")
        return Placements(
            time_ns=merged.time,
            bytes=merged.take("bytes", np.int64),
            identity=merged.take("identity", np.int64),
            site=merged.derive(
                np.int32,
                lambda p: self._processes[p].site[
                    0, column(self._record.processes[p].tables["placements"], "stack")
                ],
            ),
            process=merged.process(),
            **{name: merged.take(name, np.int32, self._text) for name in texts},
        )

    # --- the run as a whole --------------------------------------------------------------------

    def notes(self, copies: Copies) -> tuple[Note, ...]:
        """What the record says about itself, and what only its reader can see."""
        found: dict[Note, None] = {}
        for process in self._processes:
            rows = process.record.tables["notes"].to_pylist()
            for row in rows:
                stack = process.stacks[row["stack"]] if row["stack"] >= 0 else ()
                site = self._place([process.frames[i] for i in stack]).site if stack else None
                found[Note(row["rule"], row["text"], site.frame if site else None)] = None
            if process.record.truncated and not any(r["rule"] == "PA901" for r in rows):
                text = (
                    f"the record of process {process.record.name} did not end regularly: what "
                    "happened after its last flush is missing"
                )
                found[Note("PA901", text)] = None
        nowhere = [i for i, site in enumerate(self.sites) if site.frame is None]
        lost = int((np.isin(copies.site, nowhere) & copies.steady).sum())
        if lost:
            text = f"copies of which no Python line is known: {lost}; they count in totals only"
            found[Note("PA902", text)] = None
        return tuple(found)

    def sources(self) -> Mapping[str, str]:
        """Source text by file."""
        return {
            row["file"]: row["text"]
            for process in self._record.processes
            for row in process.tables["sources"].to_pylist()
        }

    def meta(self, copies: Copies, waits: Waits, spans: Spans) -> RunMeta:
        """Facts about the run as a whole."""
        meta = self._record.meta
        main = self._record.processes[0].meta if self._record.processes else {}
        exit_code = main.get("exit_code")
        devices = self._devices(copies, waits)
        return RunMeta(
            path=str(self._record.path),
            argv=tuple(str(arg) for arg in meta.get("argv", ())),
            cwd=str(meta.get("cwd", "")),
            started_unix_s=float(meta.get("started_unix_s", 0.0)),
            duration_s=_duration_s(main, copies, waits, spans),
            simulated=self._model.name if self._model else "",
            devices=devices,
            versions={str(k): str(v) for k, v in dict(meta.get("versions", {})).items()},
            exit_code=exit_code if isinstance(exit_code, int) else None,
            processes=tuple(p.name for p in self._record.processes),
            memory_bytes=self._memory(devices),
            peers=_peers(self._record.processes),
            contexts=tuple(_contexts(p.meta) for p in self._record.processes),
        )

    def _memory(self, devices: Sequence[str]) -> dict[str, int]:
        """Memory of each device: the model's in simulation, else as the processes say."""
        if self._model is not None:
            return dict.fromkeys(devices, self._model.memory_bytes)
        return {
            str(device): int(size)
            for process in self._record.processes
            for device, size in _hardware(process, "memory_bytes").items()
        }

    def _devices(self, copies: Copies, waits: Waits) -> tuple[str, ...]:
        """Devices that appear in copies, waits or the census, or that a process names."""
        events = (copies.src_device, copies.dst_device, waits.own("device"))
        ids = [distinct(values) for values in events]
        ids += [
            np.unique(self._text(i, column(p.tables["placements"], "device")))
            for i, p in enumerate(self._record.processes)
        ]
        seen = {self.strings.texts[i] for values in ids for i in values.tolist() if i >= 0}
        for process in self._record.processes:
            seen.update(str(device) for device in process.meta.get("devices", ()) or ())
        return tuple(sorted(seen - {_HOST, "meta", ""}))


def _frames(table: pa.Table) -> tuple[Frame, ...]:
    """The interned frames of a process."""
    return tuple(
        Frame(
            row["file"], row["function"], row["line"], row["end_line"], row["col"],
            row["end_col"], row["package"],
        )
        for row in table.to_pylist()
    )  # fmt: skip


def _hardware(process: ProcessRecord, name: str) -> Mapping[str, Any]:
    """What a process says of the devices it used."""
    said = process.meta.get("hardware")
    found = said.get(name) if isinstance(said, dict) else None
    return found if isinstance(found, dict) else {}


def _peers(processes: Sequence[ProcessRecord]) -> dict[tuple[str, str], bool]:
    """Pairs of devices of which is known whether the second reaches the first one's memory."""
    found = {}
    for process in processes:
        for pair, reaches in _hardware(process, "peers").items():
            first, _, second = pair.partition(" ")
            found[first, second] = bool(reaches)
    return found


def _contexts(meta: Mapping[str, Any]) -> Mapping[str, int] | None:
    """Devices that a process says it had initialised."""
    found = meta.get("contexts")
    if not isinstance(found, dict):
        return None
    return {str(device): int(size) for device, size in found.items()}


def _first_rows(process: ProcessRecord, index: int) -> tuple[Array, Array, Array]:
    """A process's births: sorted identities, their rows, their stacks."""
    del index
    births = column(process.tables["births"], "birth")
    order = np.argsort(births, kind="stable")
    return births[order], order, column(process.tables["births"], "stack")[order]


def _duration_s(main: Mapping[str, Any], copies: Copies, waits: Waits, spans: Spans) -> float:
    """How long the run took: as its process says, else from its first to its last event."""
    start, end = main.get("anchor_perf_ns"), main.get("ended_perf_ns")
    if isinstance(start, int) and isinstance(end, int):
        return max(0, end - start) / 1e9
    waited = waits.own("time_ns")
    first = [int(t[0]) for t in (copies.time_ns, waited, spans.start_ns) if len(t)]
    last = [int(t.max()) for t in (copies.time_ns, waited, spans.end_ns) if len(t)]
    return (max(last) - min(first)) / 1e9 if first else 0.0
