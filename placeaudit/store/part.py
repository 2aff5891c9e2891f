"""A part of a record as a record of its own: what happened between two moments.

The record may still be written: what was flushed is there.  Batches pass one at a time, so that a
short part of a long run costs no more memory than any other.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from placeaudit.store.reader import read_meta
from placeaudit.store.schema import TABLES
from placeaudit.store.writer import META, write_meta

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["copy_part"]

#: What events refer to, or what goes on holding, though it was written before.
_WHOLE: Final = frozenset(
    {"strings", "frames", "stacks", "sources", "births", "storages", "placements"}
)
_TIMES: Final = ("time_ns", "start_ns")


def copy_part(run: Path, target: Path, start_ns: int, end_ns: int, **meta: object) -> None:
    """Write what happened in ``run`` from ``start_ns`` to ``end_ns`` into the run ``target``.

    Times are ``perf_counter_ns``, which the processes of one machine share.  ``target`` is as
    ``create_run`` leaves it; ``meta`` is added to what each process says of itself.

    Raises:
        OSError: ``target`` cannot be written.
        RecordError: ``run`` cannot be read.
    """
    for folder in sorted(run.iterdir()):
        if folder.is_dir() and (folder / META).exists():
            _copy_process(folder, target / folder.name, start_ns, end_ns, meta)


def _copy_process(
    folder: Path, target: Path, start_ns: int, end_ns: int, meta: dict[str, object]
) -> None:
    known = read_meta(folder)
    events = 0
    target.mkdir()
    for name in TABLES:
        if (folder / f"{name}.arrow").exists():
            rows = _copy_table(folder / f"{name}.arrow", target, name, start_ns, end_ns)
            events += 0 if name in _WHOLE else rows
    if events or known.get("role") == "main":
        # Nothing of the part is missing, though the process may go on.
        write_meta(target, {**known, "ended": True, **meta})
        return
    for file in target.iterdir():
        file.unlink()
    target.rmdir()


def _copy_table(file: Path, target: Path, name: str, start_ns: int, end_ns: int) -> int:
    """Copy the rows of the part; how many there are."""
    import pyarrow as pa

    count = 0
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.OSFile(str(file), "rb") as source:
        try:
            stream = pa.ipc.open_stream(source)
        except (pa.ArrowInvalid, OSError):  # cut before its first batch
            return 0
        with (
            pa.OSFile(str(target / file.name), "wb") as sink,
            pa.ipc.new_stream(sink, stream.schema, options=options) as out,
        ):
            for batch in _batches(stream):
                part = batch if name in _WHOLE else _between(batch, start_ns, end_ns)
                if part.num_rows:
                    out.write_batch(part)
                    count += part.num_rows
    return count


def _batches(stream: Any) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    try:
        yield from stream
    except (pa.ArrowInvalid, OSError):
        return  # the last batch is being written


def _between(batch: pa.RecordBatch, start_ns: int, end_ns: int) -> pa.RecordBatch:
    import pyarrow.compute as pc

    time = next((batch.column(c) for c in _TIMES if c in batch.schema.names), None)
    if time is None:
        return batch
    return batch.filter(pc.and_(pc.greater_equal(time, start_ns), pc.less_equal(time, end_ns)))
