"""Reads a record back, whole or cut: a stream that ends in the middle gives its whole batches."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from placeaudit.errors import RecordError, RecordVersionError
from placeaudit.store.integrity import check_meta, check_references
from placeaudit.store.narrow import NARROWED, NarrowTable
from placeaudit.store.schema import TABLES, VERSION, Table
from placeaudit.store.writer import FORMAT, META, arrow_schema

__all__ = ["ProcessRecord", "RunRecord", "read_meta", "read_run"]


@dataclass(frozen=True)
class ProcessRecord:
    """What one process recorded.

    ``tables`` has every table of the schema, empty where nothing was recorded; integers of long
    tables are as narrow as the run allows.  ``truncated`` is
    True where a stream was cut or the process did not end its record regularly.
    """

    name: str
    meta: Mapping[str, Any]
    tables: Mapping[str, pa.Table]
    truncated: bool


@dataclass(frozen=True)
class RunRecord:
    """A whole run: its metadata and the record of each of its processes, the main one first."""

    path: Path
    meta: Mapping[str, Any]
    processes: tuple[ProcessRecord, ...]


def read_run(path: str | Path) -> RunRecord:
    """Read the record in the directory ``path``.

    Raises:
        RecordError: there is no record, or it is damaged: more than cut in the middle.
        RecordVersionError: it was written by a newer placeaudit.
    """
    run = Path(path)
    if not run.exists():
        raise RecordError(f"{run} does not exist")
    if not run.is_dir():
        raise RecordError(f"{run} is not a record: a record is a directory")
    meta = read_meta(run)
    if meta.get("format") != FORMAT:
        raise RecordError(f"{run} is not a record of placeaudit")
    _check_version(run, meta)
    check_meta(run / META, meta)
    folders = sorted(
        folder for folder in run.iterdir() if folder.is_dir() and (folder / META).exists()
    )
    processes = [_read_process(folder) for folder in folders]
    if not processes:
        raise RecordError(f"{run} is empty: no process recorded anything")
    pa.default_memory_pool().release_unused()
    processes.sort(key=lambda p: (p.meta.get("role") != "main", p.meta["anchor_unix_ns"], p.name))
    return RunRecord(run, meta, tuple(processes))


def read_meta(folder: Path) -> dict[str, Any]:
    """What ``meta.json`` in ``folder`` says.

    Raises:
        RecordError: there is none, or it cannot be read.
    """
    file = folder / META
    try:
        meta = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RecordError(f"{folder} is not a record: it has no {META}") from None
    except (OSError, ValueError) as error:
        raise RecordError(f"{file} cannot be read: {error}") from error
    if not isinstance(meta, dict):
        raise RecordError(f"{file} is damaged: it holds no object")
    return meta


def _check_version(folder: Path, meta: Mapping[str, Any]) -> None:
    version = meta.get("schema")
    if not isinstance(version, int):
        raise RecordError(f"{folder / META} is damaged: it has no schema version")
    if version > VERSION:
        raise RecordVersionError(
            f"{folder} has schema version {version}; this placeaudit reads up to {VERSION}: "
            "upgrade placeaudit"
        )


def _read_process(folder: Path) -> ProcessRecord:
    meta = read_meta(folder)
    _check_version(folder, meta)
    check_meta(folder / META, meta)
    meta.setdefault("anchor_unix_ns", 0)
    tables: dict[str, pa.Table] = {}
    ended = bool(meta.get("ended", False))
    truncated = not ended
    written = meta.get("tables", ())
    for name, table in TABLES.items():
        file = folder / f"{name}.arrow"
        tables[name], cut = _read_table(file, table)
        if name in written and not file.exists():
            raise RecordError(f"{file} is missing; copy the record again, or trace again")
        if cut and ended:
            # Rows that were there are gone: what is left must not pass for the whole.
            raise RecordError(
                f"{file} is damaged: its end is missing; copy the record again, or trace again"
            )
        truncated = truncated or cut
    check_references(folder, tables)
    return ProcessRecord(folder.name, meta, tables, truncated)


def _read_table(file: Path, table: Table) -> tuple[pa.Table, bool]:
    """The whole batches of ``file`` and whether it was cut."""
    schema = arrow_schema(table)
    batches: list[pa.RecordBatch] = []
    if not file.exists():
        return pa.Table.from_batches([], schema), False
    cut = not _ends_regularly(file)
    narrow = NarrowTable(schema) if table.name in NARROWED else None
    keep = narrow.add if narrow else batches.append
    with pa.OSFile(str(file), "rb") as source:
        try:
            for batch in pa.ipc.open_stream(source):
                keep(_fit(batch, schema, file))
        except (pa.ArrowInvalid, OSError):
            cut = True
    return narrow.table() if narrow else pa.Table.from_batches(batches, schema), cut


def _ends_regularly(file: Path) -> bool:
    """Whether the stream has its end mark; Arrow itself takes a plain end of file as one."""
    with file.open("rb") as source:
        source.seek(0, 2)
        size = source.tell()
        source.seek(max(0, size - 8))
        return source.read() == b"\xff\xff\xff\xff\x00\x00\x00\x00"


def _fit(batch: pa.RecordBatch, schema: pa.Schema, file: Path) -> pa.RecordBatch:
    """``batch`` with today's columns; a column an older version lacked is -1 or empty."""
    if batch.schema.equals(schema):
        return batch
    columns = []
    for field in schema:
        if field.name in batch.schema.names:
            columns.append(batch.column(field.name).cast(field.type))
        elif pa.types.is_integer(field.type) and not pa.types.is_unsigned_integer(field.type):
            columns.append(pa.array([-1] * batch.num_rows, field.type))
        else:
            raise RecordError(f"{file} lacks the column {field.name}")
    return pa.record_batch(columns, schema=schema)
