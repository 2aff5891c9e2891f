"""Writes a record: one Arrow IPC stream per table, appended by a background thread.

Recording appends plain tuples to lists (``RecordWriter.rows``); nothing is encoded there.  A daemon
thread takes rows from the front of these lists, encodes them and writes whole batches, each flushed
to the file before the next.  Whatever ends the process then loses at most the rows of the last
interval.  Rows that others refer to (strings, frames, stacks, births) always reach the disk first.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from placeaudit.errors import OutputError
from placeaudit.store.schema import TABLES, VERSION, Table

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["META", "RecordWriter", "create_run", "write_meta"]

#: File name of the run's and of each process's metadata.
META: Final = "meta.json"
#: Value of ``meta.json``'s ``format``: how a directory is known to be ours.
FORMAT: Final = "placeaudit-record"

#: Pending rows of one table that wake the flush thread early.
WAKE_ROWS: Final = 4_096
#: Pending rows of one table from which on the appending thread itself flushes: bounds memory
#: even where the flush thread gets no turn.
FULL_ROWS: Final = 32_768
#: Distinct strings of one process: names are few, but shapes and reasons may be ever new.
MAX_STRINGS: Final = 100_000
#: What stands for the strings above that.
OTHER: Final = "(other)"
#: Rows of one Arrow batch.
BATCH_ROWS: Final = 8_192

#: Written before every other table, in this order: later ones refer to rows of earlier ones.
#: ``allowed`` rows too come before the copy or wait that they excuse.
_REFERRED: Final = ("strings", "frames", "stacks", "births", "sources", "allowed")
_EVENTS: Final = tuple(name for name in TABLES if name not in _REFERRED)
_PACKAGES: Final = ("placeaudit", "torch", "numpy", "pyarrow")

#: Streams that a forked child inherited.  Closing (or collecting) them would write into the
#: parent's files, so they are kept for ever.
_INHERITED: Final[list[object]] = []


def write_meta(folder: Path, values: Mapping[str, object]) -> None:
    """Write ``folder/meta.json`` so that a reader sees either the old or the new text, whole."""
    temporary = folder / f".{META}.{os.getpid()}"
    temporary.write_text(json.dumps(values, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    temporary.replace(folder / META)


def create_run(
    path: Path,
    *,
    argv: Sequence[str],
    simulated: str = "",
    force: bool = False,
    launch: str = "",
) -> None:
    """Make the run directory ``path`` with its ``meta.json``.

    ``simulated`` is the specification of the simulated device ("cuda:2=h100"), "" for real ones.
    ``launch`` names the launch of several ranks that record into it, "" outside of one.
    ``force`` replaces an earlier record; a directory that is no record is never deleted.

    Raises:
        OutputError: ``path`` exists (and ``force`` is not given, or it is no record of ours) or
            cannot be written.
    """
    try:
        if path.exists() or path.is_symlink():
            _make_room(path, force=force)
        path.mkdir(parents=True, exist_ok=True)
        meta = _run_meta(argv, simulated)
        write_meta(path, {**meta, "launch": launch} if launch else meta)
    except OSError as error:
        raise OutputError(f"cannot write the record to {path}: {error.strerror}") from error


def _make_room(path: Path, *, force: bool) -> None:
    if path.is_dir() and not any(path.iterdir()):
        return
    if not path.is_dir() or path.is_symlink() or not _is_record(path):
        raise OutputError(
            f"{path} exists already and is not a record of placeaudit: it is not replaced"
        )
    if not force:
        raise OutputError(f"{path} exists already; --force replaces an earlier record")
    shutil.rmtree(path)


def _is_record(path: Path) -> bool:
    try:
        meta = json.loads((path / META).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(meta, dict) and meta.get("format") == FORMAT


def _run_meta(argv: Sequence[str], simulated: str) -> dict[str, object]:
    return {
        "format": FORMAT,
        "schema": VERSION,
        "argv": list(argv),
        "cwd": str(Path.cwd()),
        "started_unix_s": time.time(),
        "simulated": simulated,
        "versions": _versions(),
    }


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found


class _Stream:
    """One table's file; opened at the first row."""

    def __init__(self, path: Path, table: Table) -> None:
        import pyarrow as pa

        self._schema = arrow_schema(table)
        self._columns = len(table.columns)
        self._sink = pa.OSFile(str(path), "wb")
        self._writer = pa.ipc.new_stream(
            self._sink, self._schema, options=pa.ipc.IpcWriteOptions(compression="zstd")
        )

    def write(self, rows: Sequence[tuple[object, ...]]) -> None:
        import pyarrow as pa

        columns = zip(*rows, strict=True)
        arrays = [
            pa.array(list(values), type=field.type)
            for values, field in zip(columns, self._schema, strict=True)
        ]
        self._writer.write_batch(pa.record_batch(arrays, schema=self._schema))
        self._sink.flush()

    def close(self) -> None:
        self._writer.close()
        self._sink.close()


def arrow_schema(table: Table) -> pa.Schema:
    """The Arrow schema of ``table``."""
    import pyarrow as pa

    types = {
        "int8": pa.int8(), "int16": pa.int16(), "int32": pa.int32(), "int64": pa.int64(),
        "uint64": pa.uint64(), "bool": pa.bool_(), "string": pa.string(),
        "list<int32>": pa.list_(pa.int32()),
        "list<int64>": pa.list_(pa.int64()),
    }  # fmt: skip
    return pa.schema([pa.field(c.name, types[c.kind], nullable=False) for c in table.columns])


class RecordWriter:
    """The record of one process: ``RUN/p<pid>-<n>/``, made when the first row is written.

    ``role`` is what the process is ("main", "fork", "loader", "spawn").  A process that records
    nothing leaves no directory, except the main one.
    """

    def __init__(self, run: Path, *, role: str = "main", flush_interval_s: float = 0.5) -> None:
        self._run = run
        self._interval_s = flush_interval_s
        self._rows: dict[str, list[tuple[object, ...]]] = {name: [] for name in TABLES}
        #: Called before every flush, e.g. to hand over rows that are held back.
        self.before_flush: list[Callable[[], None]] = []
        self.role = role
        #: What else ``meta.json`` says of the process.
        self.facts: dict[str, object] = {}
        self._begin()

    def _begin(self) -> None:
        """State that belongs to one process; made again in a forked child."""
        self._pid = os.getpid()
        self._folder: Path | None = None
        self._streams: dict[str, _Stream] = {}
        self._strings: dict[str, int] = {}
        self._intern_lock = threading.Lock()
        self._flush_lock = threading.RLock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._started = False
        self._forking = 0
        self._closed = False
        self._failed = False
        self._anchor = (time.perf_counter_ns(), time.time_ns())

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` was called in this process."""
        return self._closed

    @property
    def folder(self) -> Path | None:
        """The process's directory, None before the first row was written."""
        return self._folder

    def rows(self, table: str) -> list[tuple[object, ...]]:
        """The pending rows of ``table``: the same list for ever, to bind ``append`` of."""
        return self._rows[table]

    def string(self, text: str) -> int:
        """The id of ``text`` in ``strings``."""
        known = self._strings.get(text)
        if known is not None:
            return known
        with self._intern_lock:
            known = self._strings.get(text)
            if known is None and len(self._strings) > MAX_STRINGS:
                known = self._strings[OTHER]
            elif known is None:
                if len(self._strings) == MAX_STRINGS:
                    text = OTHER
                    self.note("PA903", f"more than {MAX_STRINGS} different names, shapes and "
                              f'reasons: later ones are recorded as "{OTHER}"')  # fmt: skip
                known = len(self._strings)
                # A lone surrogate (undecodable file names) has no UTF-8 form.
                clean = text.encode("utf-8", "backslashreplace").decode("utf-8")
                self._rows["strings"].append((clean,))
                self._strings[text] = known
        self.touch()
        return known

    def note(self, rule: str, text: str, stack: int = -1) -> None:
        """Add what the record has to say about itself (PA901, PA902, PA903)."""
        self._rows["notes"].append((rule, time.perf_counter_ns(), text, stack))

    def start(self) -> None:
        """Make the directory, write the process's first ``meta.json``, start flushing."""
        self._make_folder()
        self._started = True
        self._start_thread()

    def start_lazily(self) -> None:
        """As :meth:`start`, but at the first event: a process without one leaves nothing."""
        self._started = True

    def touch(self) -> None:
        """Make sure that a flush thread runs: a forked child starts it at its first event."""
        if self._thread is None and self._started and not self._closed:
            self._start_thread()

    def pressure(self, pending: int) -> None:
        """What an appender calls once a table holds ``WAKE_ROWS`` rows: wake, or help."""
        if pending >= FULL_ROWS:
            self.flush()
        else:
            self._wake.set()

    def wake(self) -> None:
        """Flush soon, in the background."""
        self._wake.set()

    def flush(self) -> None:
        """Write every pending row.  Any thread may call it; never raises for a full disk."""
        for prepare in self.before_flush:
            prepare()
        with self._flush_lock:
            # Interned rows alone say nothing: they wait for an event that refers to them.
            if self._closed or not any(self._rows[name] for name in _EVENTS):
                return
            # A row's references were appended before the row.  Counting in the opposite order of
            # writing therefore never writes a row whose references are not on disk.
            order = (*_EVENTS, *reversed(_REFERRED))
            counts = [(name, len(self._rows[name])) for name in order]
            try:
                self._make_folder()
                for name, count in reversed(counts):
                    self._write(name, count)
            except OSError as error:
                self._give_up(error)

    def close(self, **meta: object) -> None:
        """Flush, end every stream and complete ``meta.json`` with ``meta``.  Idempotent."""
        thread = self._thread
        with self._flush_lock:
            if self._closed:
                return
            self.flush()
            self._closed = True
            self._wake.set()
            try:
                for stream in self._streams.values():
                    stream.close()
                if meta.get("contexts") and self._started:
                    # A process that did nothing but initialise a device has that to say.
                    self._make_folder()
                if self._folder is not None:
                    ended = not self._failed  # else rows were dropped: the record is cut
                    about = {"tables": sorted(self._streams), **self.facts, **meta}
                    write_meta(self._folder, self._meta(ended=ended, **about))
            except OSError as error:
                self._give_up(error)
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout=5.0)

    def before_fork(self) -> None:
        """Let a flush come to its end: Arrow's locks must be free in the child."""
        if not self._flush_lock.acquire(timeout=5.0):
            return
        self._forking += 1

    def after_fork_in_parent(self) -> None:
        """Flushes may go on."""
        if self._forking:
            self._forking -= 1
            self._flush_lock.release()

    def after_fork(self, role: str) -> None:
        """In a forked child: forget what belongs to the parent and begin an own record."""
        _INHERITED.extend((self._streams, self._flush_lock, self._intern_lock, self._thread))
        started = self._started and not self._closed
        for rows in self._rows.values():
            del rows[:]
        self.role = role
        self._begin()
        self._started = started
        self._closed = not started

    def _start_thread(self) -> None:
        with self._intern_lock:
            if self._thread is not None:
                return
            thread = threading.Thread(target=self._work, name="placeaudit-flush", daemon=True)
            self._thread = thread
        try:
            thread.start()
        except RuntimeError:
            # No thread can start while the interpreter ends; close() still writes everything.
            self._thread = None

    def _work(self) -> None:
        while not self._closed:
            self._wake.wait(self._interval_s)
            self._wake.clear()
            if not self._closed:
                self.flush()

    def _write(self, name: str, count: int) -> None:
        rows = self._rows[name]
        while count > 0 and not self._failed:
            batch = rows[: min(count, BATCH_ROWS)]
            stream = self._streams.get(name)
            if stream is None:
                assert self._folder is not None
                stream = _Stream(self._folder / f"{name}.arrow", TABLES[name])
                self._streams[name] = stream
            stream.write(batch)
            del rows[: len(batch)]
            count -= len(batch)
        if self._failed:
            del rows[:count]

    def _give_up(self, error: OSError) -> None:
        """The disk takes no more: drop rows from now on; the program must not suffer."""
        if not self._failed:
            self._failed = True
            with contextlib.suppress(OSError):
                sys.stderr.write(f"placeaudit: the record is cut here: {error}\n")
        for rows in self._rows.values():
            del rows[:]

    def _make_folder(self) -> None:
        if self._folder is not None:
            return
        number = 0
        while True:
            folder = self._run / f"p{self._pid}-{number}"
            try:
                folder.mkdir()
            except FileExistsError:
                number += 1
            else:
                break
        self._folder = folder
        write_meta(folder, self._meta(ended=False, **self.facts))

    def _meta(self, *, ended: bool, **more: object) -> dict[str, Any]:
        return {
            "schema": VERSION,
            "role": self.role,
            "pid": self._pid,
            "parent_pid": os.getppid(),
            "python": platform.python_version(),
            "anchor_perf_ns": self._anchor[0],
            "anchor_unix_ns": self._anchor[1],
            "ended": ended,
            **more,
        }
