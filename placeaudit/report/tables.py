"""The events of a run as pyarrow tables with readable columns, for ``Run`` and exports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from placeaudit.analyze.audit import Audit
from placeaudit.model import Direction, Phase

__all__ = ["copies_table", "placements_table", "waits_table"]

_PHASES = tuple(phase.label for phase in Phase)
_DIRECTIONS = tuple(direction.value for direction in Direction)


def _text(indices: npt.NDArray[Any], names: Sequence[str]) -> pa.DictionaryArray:
    """Interned text as a dictionary column; null where the index is -1."""
    wide = np.asarray(indices, dtype=np.int32)
    return pa.DictionaryArray.from_arrays(
        pa.array(wide, mask=wide < 0), pa.array(list(names), type=pa.string())
    )


def _seconds(time_ns: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    return np.asarray(time_ns, dtype=np.float64) / 1e9


def _nullable(values: npt.NDArray[Any]) -> pa.Array:
    wide = np.asarray(values, dtype=np.int64)
    return pa.array(wide, mask=wide < 0)


def _origin_ns(audit: Audit) -> int:
    """The first time of anything in the run."""
    starts = (
        audit.copies.time_ns,
        audit.waits.time_ns,
        audit.spans.start_ns,
        audit.placements.time_ns,
    )
    return min((int(times.min()) for times in starts if len(times)), default=0)


def _place(audit: Audit, site: npt.NDArray[Any]) -> dict[str, Any]:
    """The columns that say where: file, line, function; null where no frame is known."""
    frames = [found.frame for found in audit.sites]
    return {
        "file": _by_site([frame.file if frame else None for frame in frames], site),
        "line": _nullable(
            np.array([frame.line if frame else -1 for frame in frames] + [-1], dtype=np.int64)[site]
        ),
        "function": _by_site([frame.function if frame else None for frame in frames], site),
    }


def _by_site(names: Sequence[str | None], site: npt.NDArray[Any]) -> pa.DictionaryArray:
    """Text that many sites share, each once in the dictionary."""
    ids = {name: i for i, name in enumerate(dict.fromkeys(n for n in names if n is not None))}
    indices = [-1 if name is None else ids[name] for name in names]
    # The last entry is what site -1 ("none") picks.
    return _text(np.array([*indices, -1], dtype=np.int32)[site], list(ids))


def copies_table(audit: Audit) -> pa.Table:
    """One row a copy; columns as ``Run.copies`` documents them."""
    copies = audit.copies
    return pa.table(
        {
            "time_s": _seconds(copies.time_ns - _origin_ns(audit)),
            "step": _nullable(copies.step),
            "phase": _text(copies.phase, _PHASES),
            "direction": _text(copies.direction, _DIRECTIONS),
            "src": _text(copies.src_device, audit.strings),
            "dst": _text(copies.dst_device, audit.strings),
            "bytes": pa.array(copies.bytes),
            "src_dtype": _text(copies.src_dtype, audit.strings),
            "dst_dtype": _text(copies.dst_dtype, audit.strings),
            "shape": _text(copies.shape, audit.strings),
            "pinned": pa.array(copies.pinned),
            "non_blocking": pa.array(copies.non_blocking),
            "waits": pa.array(copies.waits),
            "blocked_s": _seconds(copies.blocked_ns),
            "operation": _text(copies.operation, audit.strings),
            "module": _text(copies.module, audit.strings),
            **_place(audit, copies.site),
            "allowed": _text(copies.allowed, audit.strings),
            "process": _text(copies.process, audit.meta.processes),
        }
    )


def waits_table(audit: Audit) -> pa.Table:
    """One row a wait; columns as ``Run.waits`` documents them."""
    waits = audit.waits
    return pa.table(
        {
            "time_s": _seconds(waits.time_ns - _origin_ns(audit)),
            "step": _nullable(waits.step),
            "phase": _text(waits.phase, _PHASES),
            "cause": _text(waits.cause, audit.strings),
            "device": _text(waits.device, audit.strings),
            "blocked_s": _seconds(waits.blocked_ns),
            "copy": _nullable(waits.copy),
            "module": _text(waits.module, audit.strings),
            **_place(audit, waits.site),
            "allowed": _text(waits.allowed, audit.strings),
            "process": _text(waits.process, audit.meta.processes),
        }
    )


def placements_table(audit: Audit) -> pa.Table:
    """One row a placement; columns as ``Run.placements`` documents them."""
    placements = audit.placements
    return pa.table(
        {
            "time_s": _seconds(placements.time_ns - _origin_ns(audit)),
            "kind": _text(placements.kind, audit.strings),
            "owner": _text(placements.owner, audit.strings),
            "name": _text(placements.name, audit.strings),
            "device": _text(placements.device, audit.strings),
            "dtype": _text(placements.dtype, audit.strings),
            "shape": _text(placements.shape, audit.strings),
            "bytes": pa.array(placements.bytes),
            "expected_device": _text(placements.expected_device, audit.strings),
            "process": _text(placements.process, audit.meta.processes),
        }
    )
