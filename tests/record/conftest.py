"""Recording inside the test process, on simulated devices."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from placeaudit.record.session import Session
from placeaudit.store.reader import ProcessRecord, RunRecord, read_run
from placeaudit.store.writer import create_run

NAMES = {
    "src_device", "dst_device", "src_dtype", "dst_dtype", "shape", "operation", "module", "cause",
    "device", "dtype", "kind", "name", "owner", "expected_device",
}  # fmt: skip


@dataclass(frozen=True)
class Recorded:
    """A process's rows as dictionaries, with text for interned strings and lines for stacks."""

    process: ProcessRecord
    run: RunRecord

    def __getattr__(self, table: str) -> list[dict[str, Any]]:
        if table.startswith("_") or table not in self.process.tables:
            raise AttributeError(table)
        strings = self.process.tables["strings"].column("text").to_pylist()
        ints = {"owner"} if table == "spans" else set()
        rows: list[dict[str, Any]] = self.process.tables[table].to_pylist()
        for row in rows:
            for column in NAMES & row.keys() - ints:
                row[column] = strings[row[column]] if row[column] >= 0 else None
            if "stack" in row:
                row["frames"] = self.stack(row["stack"])
        return rows

    def stack(self, number: int) -> list[dict[str, Any]]:
        """The frames of a stack, innermost first."""
        if number < 0:
            return []
        frames = self.process.tables["frames"]
        ids = self.process.tables["stacks"].column("frames")[number].as_py()
        found: list[dict[str, Any]] = frames.take(ids).to_pylist()
        return found

    def line(self, row: dict[str, Any]) -> str:
        """The text of the user's innermost line."""
        for frame in row["frames"]:
            if not frame["package"]:
                lines = Path(frame["file"]).read_text().splitlines()
                return str(lines[frame["line"] - 1].strip())
        return ""


def read(run: Path) -> Recorded:
    record = read_run(run)
    return Recorded(record.processes[0], record)


@pytest.fixture
def record(tmp_path: Path) -> Callable[[Callable[[], object]], Recorded]:
    """Runs a function under a session and hands back what was recorded."""
    number = 0

    def run_recorded(function: Callable[[], object]) -> Recorded:
        nonlocal number
        run = tmp_path / f"run{number}"
        number += 1
        create_run(run, argv=["test"])
        session = Session.start(run)
        try:
            function()
        finally:
            session.stop()
        return read(run)

    return run_recorded


@pytest.fixture
def cuda() -> Iterator[str]:
    """Two simulated devices."""
    pytest.importorskip("torch")
    from placeaudit.simulate import simulate

    with simulate("cuda:2=h100"):
        yield "cuda"
