"""From the record of a run to its audit: one pure function, NumPy throughout.

Processes are merged, stacks become sites, steps are told, blocked time is measured or modelled.
Loops run over processes, stacks and strings, never over events.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

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
    Fallbacks,
    Placements,
    Spans,
    Waits,
)
from placeaudit.analyze.blocked import copies_blocked_ns, waits_blocked_ns
from placeaudit.analyze.columns import Array, Merged, column, look_up, remap
from placeaudit.analyze.datasets import Datasets
from placeaudit.analyze.merge import Merge
from placeaudit.analyze.meta import notes, run_meta, sources
from placeaudit.analyze.operations import operations_of, storages_of, windows_of
from placeaudit.analyze.vector_operations import VectorOperations
from placeaudit.model import Phase, is_host
from placeaudit.store.reader import RunRecord

__all__ = ["analyze"]


def analyze(record: RunRecord, *, own: Sequence[str] = ()) -> Audit:
    """Everything rules and reporters need to know about ``record``.

    ``own`` names installed packages whose frames count as the user's code.
    """
    merge = Merge(record, frozenset(own))
    spans = _spans(merge)  # first: they settle how steps are told
    copies = _copies(merge)
    waits = _waits(merge, copies)
    return Audit(
        meta=run_meta(merge, copies, waits, spans),
        copies=copies,
        waits=waits,
        births=_births(merge),
        calls=_calls(merge),
        fallbacks=_fallbacks(merge),
        vectors=_vectors(merge),
        datasets=_datasets(merge),
        operations=operations_of(record.processes, copies, merge.text, merge.storage),
        storages=storages_of(record.processes, merge.storage),
        windows=windows_of(record.processes, merge.text),
        spans=spans,
        placements=_placements(merge),
        steps=merge.steps,
        sites=tuple(merge.sites),
        stacks=merge.stacks(),
        strings=tuple(merge.strings.texts),
        notes=notes(merge, copies),
        sources=sources(merge),
    )


def _spans(merge: Merge) -> Spans:
    """The spans of all processes; settles how steps are told."""
    tables = [
        steps_.SpanTable(
            texts=p.record.tables["strings"].column("text").to_pylist(),
            **{
                name: column(p.record.tables["spans"], name)
                for name in ("kind", "name", "owner", "start_ns", "end_ns", "thread")
            },
        )
        for p in merge.processes
    ]
    merge.settle_steps(steps_.find_steps(tables))
    merged = merge.merged("spans", "start_ns")
    process = merged.process()
    end = merged.take("end_ns", np.int64)
    return Spans(
        kind=merged.take("kind", np.int32, merge.text),
        name=merged.take("name", np.int32, merge.text),
        owner=merged.take("owner", np.int64),
        start_ns=merged.time,
        end_ns=end,
        thread=merged.take("thread", np.int64),
        process=process,
        step=merge.steps_at(end, process),
    )


def _copies(merge: Merge) -> Copies:
    """The copies of all processes in order of time."""
    merged = merge.merged("copies")
    text, storage = merge.text, merge.storage
    src = merged.take("src_device", np.int32, text)
    dst = merged.take("dst_device", np.int32, text)
    where = merge.where(merged, "copies")
    if not len(merge.steps):
        _settle_recurrence(merge, merged, where)
    merge.judge(where, merged.time)
    direction = _direction(merge, src, dst)
    size = merged.take("bytes", np.int64)
    pinned = merged.take("pinned", np.bool_)
    waits = merged.take("waits", np.bool_)
    host = merged.take("host_ns", np.int64)
    return Copies(
        time_ns=merged.time,
        host_ns=host,
        blocked_ns=copies_blocked_ns(
            merge.model,
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
        src_birth=merged.take("src_birth", np.int32, _BirthRows(merge).of),
        allowed=merged.derive(np.int32, lambda process: _allowed(merge, process, "copies")),
        **where,
    )


def _allowed(merge: Merge, process: int, table: str) -> Array:
    """By row of a process's table: the reason of the allowance it ran in, -1 without one."""
    tables = merge.record.processes[process].tables
    excused = tables["allowed"]
    return look_up(
        (column(tables[table], "time_ns"), column(tables[table], "thread")),
        (column(excused, "time_ns"), column(excused, "thread")),
        merge.text(process, column(excused, "reason")),
    )


def _settle_recurrence(merge: Merge, merged: Merged, where: Mapping[str, Any]) -> None:
    """Steps by the recurrence of a copy site; moves of modules and state do not count."""
    moves = np.isin(where["site"], _moving_sites(merge))
    usable = ~moves & (where["phase"] != int(Phase.CHECKPOINT))
    found = steps_.recurring(merged.time[usable], where["site"][usable])
    if found is not None:
        merge.settle_steps([found] * len(merge.processes))


def _moving_sites(merge: Merge) -> list[int]:
    """Sites of ``Module.to`` and its kin: one call, as many copies as parameters."""
    return [
        int(process.site[0, row])
        for process in merge.processes
        for row, stack in enumerate(process.stacks)
        if any(process.frames[i].function.endswith("Module._apply") for i in stack)
    ]


def _direction(merge: Merge, src: Array, dst: Array) -> npt.NDArray[np.int8]:
    hosts = np.array([is_host(text) for text in merge.strings.texts], dtype=np.bool_)
    from_host, to_host = (remap(ids, hosts).astype(np.bool_) for ids in (src, dst))
    other = np.where(to_host, np.int8(D2H), np.int8(D2D))
    return np.where(from_host, np.int8(H2D), other)


def _waits(merge: Merge, copies: Copies) -> Waits:
    """Waits of their own and those that copies make, in order of time."""
    merged = merge.merged("waits")
    where = merge.where(merged, "waits")
    merge.judge(where, merged.time)
    cause = merged.take("cause", np.int32, merge.text)
    host = merged.take("host_ns", np.int64)
    made = np.flatnonzero(copies.waits).astype(np.int32)
    times = np.concatenate([merged.time, copies.time_ns[made]])
    own = {
        "time_ns": merged.time,
        "host_ns": host,
        "blocked_ns": waits_blocked_ns(merge.model, cause, merge.strings.texts, host),
        "cause": cause,
        "device": merged.take("device", np.int32, merge.text),
        "copy": np.full(len(merged), -1, dtype=np.int8),
        "allowed": merged.derive(np.int32, lambda process: _allowed(merge, process, "waits")),
        **where,
    }
    return Waits(own, copies, made, np.argsort(times, kind="stable").astype(np.int32))


def _births(merge: Merge) -> Births:
    """The births of all processes, process after process (``_BirthRows`` counts on it)."""
    tables = [p.tables["births"] for p in merge.record.processes]

    def joined(make: Callable[[int], Array], dtype: Any) -> Array:
        parts = [make(process) for process in range(len(tables))]
        return np.concatenate([np.zeros(0, dtype=dtype), *parts]).astype(dtype, copy=False)

    time = joined(lambda p: column(tables[p], "time_ns"), np.int64)
    process = joined(lambda p: np.full(tables[p].num_rows, p), np.int16)
    return Births(
        time_ns=time,
        kind=joined(lambda p: merge.text(p, column(tables[p], "kind")), np.int32),
        storage=joined(lambda p: merge.storage(p, column(tables[p], "storage")), np.int64),
        site=joined(lambda p: merge.sites_of(p, column(tables[p], "stack")), np.int32),
        thread=joined(lambda p: column(tables[p], "thread"), np.int64),
        step=merge.steps_at(time, process),
    )


def _calls(merge: Merge) -> Calls:
    """The calls of all processes in order of time."""
    merged = merge.merged("calls")
    where = merge.where(merged, "calls")
    merge.judge(where, merged.time)
    return Calls(
        time_ns=merged.time,
        blocked_ns=merged.take("host_ns", np.int64),
        kind=merged.take("kind", np.int32, merge.text),
        bytes=merged.take("bytes", np.int64),
        storage=merged.take("storage", np.int64, merge.storage),
        **where,
    )


def _fallbacks(merge: Merge) -> Fallbacks:
    """The fallbacks of all processes in order of time."""
    merged = merge.merged("fallbacks")
    where = merge.where(merged, "fallbacks")
    merge.judge(where, merged.time)
    texts = ("operation", "requested", "actual", "reason", "dtypes")
    return Fallbacks(
        time_ns=merged.time,
        **{name: merged.take(name, np.int32, merge.text) for name in texts},
        **where,
    )


#: Stacks of a vector operation beside its own.
_MADE = ("restored", "left_made", "right_made")


def _vectors(merge: Merge) -> VectorOperations:
    """The vector operations of all processes in order of time."""
    merged = merge.merged("vectors")
    where = merge.where(merged, "vectors")
    merge.judge(where, merged.time)
    texts = (
        "cls", "operation", "left", "right", "result", "plugin", "role", "left_state",
        "right_state", "left_origin", "right_origin",
    )  # fmt: skip
    return VectorOperations(
        time_ns=merged.time,
        host_ns=merged.take("host_ns", np.int64),
        left_bytes=merged.take("left_bytes", np.int64),
        right_bytes=merged.take("right_bytes", np.int64),
        apart=merged.take("apart", np.int32),
        **{name: merged.take(name, np.int32, merge.text) for name in texts},
        **{name: _sites(merge, merged, "vectors", name) for name in _MADE},
        **where,
    )


def _datasets(merge: Merge) -> Datasets:
    """The pipelines of all processes."""
    merged = merge.merged("datasets")
    return Datasets(
        dataset=merged.take("dataset", np.int64, merge.storage),
        site=_sites(merge, merged, "datasets", "stack"),
        **{name: merged.take(name, np.int32, merge.text) for name in ("stage", "reason", "stages")},
    )


def _sites(merge: Merge, merged: Merged, table: str, name: str) -> Array:
    """The sites of a column of stacks."""
    return merged.derive(
        np.int32,
        lambda p: merge.sites_of(p, column(merge.record.processes[p].tables[table], name)),
    )


def _placements(merge: Merge) -> Placements:
    """The census of all processes in order of time."""
    merged = merge.merged("placements")
    texts = ("kind", "owner", "name", "device", "dtype", "shape", "expected_device")
    return Placements(
        time_ns=merged.time,
        bytes=merged.take("bytes", np.int64),
        identity=merged.take("identity", np.int64),
        site=_sites(merge, merged, "placements", "stack"),
        process=merged.process(),
        **{name: merged.take(name, np.int32, merge.text) for name in texts},
    )


class _BirthRows:
    """Finds the rows of ``Births`` by what a process calls them."""

    def __init__(self, merge: Merge) -> None:
        self._merge = merge
        self._tables = [process.tables["births"] for process in merge.record.processes]
        #: By process: sorted identities, their rows, their stacks.
        self._sorted = [_by_identity(table) for table in self._tables]

    def of(self, process: int, ids: Array) -> Array:
        """Rows of ``Births``; none for what a Dataset, loader or collate function made."""
        births, rows, stacks = self._sorted[process]
        out = np.full(len(ids), -1, dtype=np.int32)
        if not len(births):
            return out
        born = np.flatnonzero(ids >= 0)
        at = np.minimum(np.searchsorted(births, ids[born]), len(births) - 1)
        found = (births[at] == ids[born]) & ~self._merge.processes[process].data[stacks[at]]
        before = sum(table.num_rows for table in self._tables[:process])
        out[born[found]] = rows[at[found]] + before
        return out


def _by_identity(births: pa.Table) -> tuple[Array, Array, Array]:
    identities = column(births, "birth")
    order = np.argsort(identities, kind="stable")
    return identities[order], order, column(births, "stack")[order]
