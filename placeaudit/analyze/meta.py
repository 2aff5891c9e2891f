"""The run as a whole: what its record says of the program, the devices and itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from placeaudit.analyze.audit import Copies, Note, RunMeta, Spans, Waits
from placeaudit.analyze.columns import column, distinct
from placeaudit.analyze.merge import Merge
from placeaudit.store.reader import ProcessRecord

__all__ = ["notes", "run_meta", "sources"]

_HOST: Final = "cpu"


def run_meta(merge: Merge, copies: Copies, waits: Waits, spans: Spans) -> RunMeta:
    """Facts about the run as a whole."""
    meta = merge.record.meta
    main = merge.record.processes[0].meta if merge.record.processes else {}
    exit_code = main.get("exit_code")
    devices = _devices(merge, copies, waits)
    return RunMeta(
        path=str(merge.record.path),
        argv=tuple(str(arg) for arg in meta.get("argv", ())),
        cwd=str(meta.get("cwd", "")),
        started_unix_s=float(meta.get("started_unix_s", 0.0)),
        duration_s=_duration_s(main, copies, waits, spans),
        simulated=merge.model.name if merge.model else "",
        devices=devices,
        versions={str(k): str(v) for k, v in dict(meta.get("versions", {})).items()},
        exit_code=exit_code if isinstance(exit_code, int) else None,
        processes=tuple(p.name for p in merge.record.processes),
        memory_bytes=_memory(merge, devices),
        peers=_peers(merge.record.processes),
        contexts=tuple(_contexts(p.meta) for p in merge.record.processes),
        ranks=tuple(_rank(p.meta) for p in merge.record.processes),
    )


def _memory(merge: Merge, devices: Sequence[str]) -> dict[str, int]:
    """Memory of each device: the model's in simulation, else as the processes say."""
    if merge.model is not None:
        return dict.fromkeys(devices, merge.model.memory_bytes)
    return {
        str(device): int(size)
        for process in merge.record.processes
        for device, size in _hardware(process, "memory_bytes").items()
    }


def _devices(merge: Merge, copies: Copies, waits: Waits) -> tuple[str, ...]:
    """Devices that appear in copies, waits or the census, or that a process names."""
    events = (copies.src_device, copies.dst_device, waits.own("device"))
    ids = [distinct(values) for values in events]
    ids += [
        np.unique(merge.text(i, column(p.tables["placements"], "device")))
        for i, p in enumerate(merge.record.processes)
    ]
    seen = {merge.strings.texts[i] for values in ids for i in values.tolist() if i >= 0}
    for process in merge.record.processes:
        seen.update(str(device) for device in process.meta.get("devices", ()) or ())
    return tuple(sorted(seen - {_HOST, "meta", ""}))


def notes(merge: Merge, copies: Copies) -> tuple[Note, ...]:
    """What the record says about itself, and what only its reader can see."""
    found: dict[Note, None] = {}
    for process in merge.processes:
        rows = process.record.tables["notes"].to_pylist()
        for row in rows:
            stack = process.stacks[row["stack"]] if row["stack"] >= 0 else ()
            site = merge.place([process.frames[i] for i in stack]).site if stack else None
            found[Note(row["rule"], row["text"], site.frame if site else None)] = None
        if process.record.truncated and not any(r["rule"] == "PA901" for r in rows):
            text = (
                f"the record of process {process.record.name} did not end regularly: what "
                "happened after its last flush is missing"
            )
            found[Note("PA901", text)] = None
    nowhere = [i for i, site in enumerate(merge.sites) if site.frame is None]
    lost = int((np.isin(copies.site, nowhere) & copies.steady).sum())
    if lost:
        text = f"copies of which no Python line is known: {lost}; they count in totals only"
        found[Note("PA902", text)] = None
    return tuple(found)


def sources(merge: Merge) -> Mapping[str, str]:
    """Source text by file."""
    return {
        row["file"]: row["text"]
        for process in merge.record.processes
        for row in process.tables["sources"].to_pylist()
    }


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


def _rank(meta: Mapping[str, Any]) -> int | None:
    """Which rank of a launch a process is; its children are of its rank too."""
    found = meta.get("rank")
    return found if isinstance(found, int) else None


def _duration_s(main: Mapping[str, Any], copies: Copies, waits: Waits, spans: Spans) -> float:
    """How long the run took: as its process says, else from its first to its last event."""
    start, end = main.get("anchor_perf_ns"), main.get("ended_perf_ns")
    if isinstance(start, int) and isinstance(end, int):
        return max(0, end - start) / 1e9
    waited = waits.own("time_ns")
    first = [int(t[0]) for t in (copies.time_ns, waited, spans.start_ns) if len(t)]
    last = [int(t.max()) for t in (copies.time_ns, waited, spans.end_ns) if len(t)]
    return (max(last) - min(first)) / 1e9 if first else 0.0
