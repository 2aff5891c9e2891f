"""The record of one block of a program, whether or not a trace is running around it."""

from __future__ import annotations

import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, Final

from placeaudit.record.session import Session, current
from placeaudit.record.window import DEFAULT, StepWindow
from placeaudit.store.reader import ProcessRecord, RunRecord, read_run
from placeaudit.store.writer import create_run

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Block"]

#: Text, stacks and sources that events refer to: they may have been written before the block.
_INTERNED: Final = ("strings", "frames", "stacks", "sources")


class _Lease:
    """The temporary record that blocks of this process share; the last one to end closes it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._session: Session | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def begin(
        self, run: Path | None, argv: Sequence[str], window: StepWindow
    ) -> tuple[Session, bool]:
        """The session that records the block, and whether it is this lease's."""
        with self._lock:
            running = current()
            if running is not None and running is not self._session:
                return running, False
            if running is None:
                self._users = 0  # somebody else's trace took the place of ours
                if run is None:
                    self._folder = tempfile.TemporaryDirectory(prefix="placeaudit-")
                    run = Path(self._folder.name) / "run"
                create_run(run, argv=argv, simulated=_simulated())
                self._session = running = Session.start(run, steps=window)
            self._users += 1
            return running, True

    def end(self, session: Session) -> tempfile.TemporaryDirectory[str] | None:
        """A block ended; if it was the last one, its caller drops the folder after reading."""
        with self._lock:
            if session is not self._session:
                return None
            self._users -= 1
            if self._users:
                session.settle()
                return None
            folder, self._folder, self._session = self._folder, None, None
            session.stop(exit_code=0)
            return folder


_LEASE: Final = _Lease()
#: From the block's first operation on: the fate of its first copy may be all that there is to see.
_AT_ONCE: Final = StepWindow(0, 5)


class Block:
    """Records from its making on; :meth:`end` gives the record of what happened since.

    A trace that is running is not disturbed: the block reads its own part of that record.
    Otherwise a temporary one is made, which blocks of other threads share.

    Args:
        run: Keep the record there, where it is made for this block.
        argv: What the record says that it is of.
        closely: Collect operations from the start, not from the first copy on: where a block is
            held against limits, not only looked at.
    """

    def __init__(
        self,
        run: Path | None = None,
        argv: Sequence[str] | None = None,
        *,
        closely: bool = False,
    ) -> None:
        window = _AT_ONCE if closely else DEFAULT
        self._session, self._leased = _LEASE.begin(run, sys.argv if argv is None else argv, window)
        self._start_ns = perf_counter_ns()

    def end(self) -> RunRecord:
        """Stop, and read what all threads and child processes did since the block began.

        Raises:
            RecordError: The record cannot be read: the disk is full, or it was deleted.
        """
        end_ns = perf_counter_ns()
        run = self._session.run
        folder = None
        if self._leased:
            folder = _LEASE.end(self._session)
        else:
            self._session.settle()
        try:
            return _part(read_run(run), self._start_ns, end_ns)
        finally:
            if folder is not None:
                folder.cleanup()


def _simulated() -> str:
    from placeaudit.simulate.frameworks import active

    return str(active() or "")


def _part(record: RunRecord, start_ns: int, end_ns: int) -> RunRecord:
    """What of ``record`` happened in the interval."""
    processes = tuple(
        ProcessRecord(
            process.name,
            # Nothing of it is missing, though the run goes on.
            process.meta,
            _rows(process.tables, start_ns, end_ns),
            truncated=False,
        )
        for process in record.processes
    )
    return RunRecord(record.path, record.meta, processes)


def _rows(tables: Mapping[str, pa.Table], start_ns: int, end_ns: int) -> dict[str, pa.Table]:
    import pyarrow.compute as pc

    found: dict[str, Any] = {}
    for name, table in tables.items():
        time = next((c for c in ("time_ns", "start_ns") if c in table.column_names), "")
        if name in _INTERNED or not time or not table.num_rows:
            found[name] = table
            continue
        inside = pc.less_equal(table[time], end_ns)
        if name != "placements":  # a census row says how things are until the next one
            inside = pc.and_(inside, pc.greater_equal(table[time], start_ns))
        found[name] = table.filter(inside)
    return found
