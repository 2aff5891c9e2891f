"""Records in memory: a program's source, and events at its lines, without a framework.

``Builder`` writes rows as the recorder does; a frame's columns are those of the text named.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import xxhash

from placeaudit.analyze.audit import Audit
from placeaudit.analyze.run import analyze
from placeaudit.model import Finding, Frame, HashKind
from placeaudit.rules.registry import run_rules
from placeaudit.store.reader import ProcessRecord, RunRecord
from placeaudit.store.schema import TABLES
from placeaudit.store.writer import arrow_schema

FILE = "/work/train.py"
MS = 1_000_000


def torch_frame(path: str, function: str, line: int = 1) -> Frame:
    return Frame(f"/env/site-packages/{path}", function, line, package=path.partition("/")[0])


class Builder:
    """One process of a run; time goes on by a millisecond an event."""

    def __init__(self, source: str = "", *, role: str = "main", name: str = "p1-0") -> None:
        self.source = source
        self.name = name
        self.role = role
        self.now = 0
        self.rows: dict[str, list[tuple[Any, ...]]] = {table: [] for table in TABLES}
        self._strings: dict[str, int] = {}
        self._frames: dict[Frame, int] = {}
        self._stacks: dict[tuple[int, ...], int] = {}
        self.births = 0
        if source:
            self.rows["sources"].append((FILE, source))

    def string(self, text: str) -> int:
        if text not in self._strings:
            self._strings[text] = len(self._strings)
            self.rows["strings"].append((text,))
        return self._strings[text]

    def at(self, text: str, function: str = "train", occurrence: int = 0) -> Frame:
        """The frame that executes the expression ``text`` of the source."""
        begin = -1
        for _ in range(occurrence + 1):
            begin = self.source.index(text, begin + 1)
        lines = self.source[:begin].split("\n")
        inside = text.split("\n")
        end_col = len(inside[-1]) + (len(lines[-1]) if len(inside) == 1 else 0)
        return Frame(
            FILE, function, len(lines), len(lines) + len(inside) - 1, len(lines[-1]), end_col
        )

    def stack(self, *frames: Frame) -> int:
        """Interned, innermost first."""
        ids = []
        for frame in frames:
            if frame not in self._frames:
                self._frames[frame] = len(self._frames)
                self.rows["frames"].append(
                    (frame.file, frame.function, frame.line, frame.end_line, frame.col,
                     frame.end_col, frame.package)
                )  # fmt: skip
            ids.append(self._frames[frame])
        key = tuple(ids)
        if key not in self._stacks:
            self._stacks[key] = len(self._stacks)
            self.rows["stacks"].append((list(key),))
        return self._stacks[key]

    def tick(self) -> int:
        self.now += MS
        return self.now

    def copy(
        self,
        direction: str,
        *frames: Frame,
        content: bytes | None = b"",
        size: int = -1,
        pinned: bool = False,
        waits: bool = True,
        storages: tuple[int, int] = (-1, -1),
        versions: tuple[int, int] = (0, 0),
        birth: int = -1,
        operation: str = "copy_",
        backward: int = 0,
        device: str = "cuda:0",
        non_blocking: bool = False,
        dtype: str = "float32",
        phase: int = 0,
    ) -> None:
        """One copy of ``content`` ("h2d" or "d2h"); its hash is that of the content."""
        host, dev = self.string("cpu"), self.string(device)
        src, dst = (host, dev) if direction == "h2d" else (dev, host)
        data = content or b""
        found = xxhash.xxh3_64_intdigest(data) if data else 0
        kind, shape = (
            self.string(dtype),
            self.string(str((size if size >= 0 else len(data)) // 4)),
        )
        self.rows["copies"].append(
            (
                self.tick(), 1000, src, dst, size if size >= 0 else len(data), kind, kind, shape,
                pinned, non_blocking, waits, *storages, *versions, found,
                int(HashKind.FULL if data else HashKind.NONE), self.string(operation), birth,
                self.stack(*frames) if frames else -1, 1, phase, -1, backward,
            )
        )  # fmt: skip

    def wait(self, cause: str, *frames: Frame) -> None:
        self.rows["waits"].append(
            (self.tick(), 1000, self.string(cause), self.string("cuda:0"),
             self.stack(*frames), 1, 0, -1, 0)
        )  # fmt: skip

    def birth(self, storage: int, *frames: Frame, kind: str = "factory") -> int:
        self.rows["births"].append(
            (self.births, self.tick(), storage, self.stack(*frames), 1, self.string(kind))
        )
        self.births += 1
        return self.births - 1

    def pin(self, storage: int, *frames: Frame, thread: int = 1, phase: int = 0) -> None:
        """One call of ``pin_memory`` that made ``storage``."""
        self.rows["calls"].append(
            (self.tick(), 1000, self.string("pin_memory"), 4096, storage,
             self.stack(*frames), thread, phase, -1, 0)
        )  # fmt: skip

    def placement(
        self,
        kind: str,
        name: str,
        device: str,
        *frames: Frame,
        expected: str = "",
        shape: str = "4x4",
        owner: str = "Net",
        identity: int = 1,
        size: int = 64,
    ) -> None:
        """One row of the census."""
        self.rows["placements"].append(
            (
                self.tick(), self.string(kind), self.string(owner), self.string(name),
                self.string(device), self.string("float32"), self.string(shape), size,
                self.string(expected) if expected else -1, identity,
                self.stack(*frames) if frames else -1,
            )
        )  # fmt: skip

    def span(self, kind: str, name: str = "", owner: int = 1, length: int = 0) -> None:
        start = self.tick()
        self.now += length
        self.rows["spans"].append((self.string(kind), self.string(name), owner, start, self.now, 1))

    def step(self, owner: int = 1) -> None:
        self.span("optimizer", "SGD", owner)

    def process(self, *, truncated: bool = False) -> ProcessRecord:
        tables = {}
        for name, table in TABLES.items():
            columns = list(zip(*self.rows[name], strict=True)) or [()] * len(table.columns)
            schema = arrow_schema(table)
            arrays = [
                pa.array(list(values), type=field.type)
                for values, field in zip(columns, schema, strict=True)
            ]
            tables[name] = pa.table(arrays, schema=schema)
        return ProcessRecord(self.name, {"role": self.role}, tables, truncated)


def record(*builders: Builder, simulated: str = "cuda=h100") -> RunRecord:
    meta = {"argv": ["train.py"], "cwd": "/work", "simulated": simulated}
    return RunRecord(Path("/run"), meta, tuple(b.process() for b in builders))


def audit(*builders: Builder, simulated: str = "cuda=h100", own: tuple[str, ...] = ()) -> Audit:
    return analyze(record(*builders, simulated=simulated), own=own)


def findings(
    *builders: Builder, simulated: str = "cuda=h100", ignore: tuple[str, ...] = ("PA306",)
) -> tuple[Finding, ...]:
    """All but PA306: a record by hand leaves out copies that its source would have made."""
    return run_rules(audit(*builders, simulated=simulated), ignore=ignore)


def noise(seed: int, size: int = 4096) -> bytes:
    """Bytes that equal those of the same seed only."""
    return np.random.default_rng(seed).bytes(size)
