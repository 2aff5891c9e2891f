"""Measures time and memory of reading, analysing and judging long records.

A record of training steps is written by hand: each step has twenty copies at a dozen lines (new
batches, a mask again and again, host-made noise, scalar reads, a round trip, small copies from a
comprehension), a wait and three spans.  Contents and storages are new in each step where they would
be in reality.  Reading and judging run in a process of their own, whose peak memory is what the
system says of it.  Run with ``make bench-analysis``; writes reports/analysis.md.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from placeaudit.store.schema import TABLES
from placeaudit.store.writer import BATCH_ROWS, RecordWriter, arrow_schema, create_run

REPORT = Path(__file__).parents[2] / "reports" / "analysis.md"
FILE: Final = "/work/train.py"
SOURCE: Final = """def train(model, loader, mask, optimizer):
    for x, y, extras, weight in loader:
        x = x.to(device)
        y = y.to(device)
        hidden = mask.to(device)
        noise = torch.randn(64, 64).to(device)
        parts = [part.to(device) for part in extras]
        weight = weight.to(device, non_blocking=True)
        logits = model(x + noise, hidden, parts)
        probabilities = logits.softmax(-1).cpu()
        scores = probabilities.to(device)
        kept.append(logits.cpu())
        top = logits.cpu().argmax(-1)
        rows = scores.nonzero()
        loss = criterion(scores, y)
        loss.backward()
        optimizer.step()
        total += loss.item()
        right += (top == y).sum().item()
"""

#: Copies of a step: expression, how often, direction, bytes, pinned, waits, content, storage.
#: "new": other content each step; "same": always one; a number: that of the copy at this place.
_STEP: Final[tuple[tuple[str, int, str, int, bool, bool, str], ...]] = (
    ("x.to(device)", 1, "h2d", 1 << 18, False, True, "new"),
    ("y.to(device)", 1, "h2d", 512, False, True, "new"),
    ("mask.to(device)", 1, "h2d", 1 << 14, False, True, "same"),
    ("torch.randn(64, 64).to(device)", 1, "h2d", 1 << 14, False, True, "born"),
    ("part.to(device)", 8, "h2d", 256, False, True, "new"),
    ("weight.to(device, non_blocking=True)", 2, "h2d", 1 << 16, True, False, "new"),
    ("logits.softmax(-1).cpu()", 1, "d2h", 4096, False, True, "trip"),
    ("probabilities.to(device)", 1, "h2d", 4096, False, True, "trip"),
    ("logits.cpu()", 1, "d2h", 4096, False, True, "logits"),
    ("logits.cpu().argmax", 1, "d2h", 4096, False, True, "logits"),
    ("loss.item()", 1, "d2h", 4, False, True, "none"),
    ("(top == y).sum().item()", 1, "d2h", 8, False, True, "none"),
)
COPIES_A_STEP: Final = sum(line[1] for line in _STEP)
_STEP_NS: Final = 1_000_000
#: Steps written at a time.
_CHUNK: Final = 8_192

Columns = dict[str, npt.NDArray[Any]]


class Synthetic:
    """Writes the record of a run of ``steps`` steps."""

    def __init__(self, run: Path, steps: int) -> None:
        self._steps = steps
        self._random = np.random.default_rng(0)
        create_run(run, argv=["train.py"], simulated="cuda=h100")
        self._writer = RecordWriter(run)
        self._writer.start()
        self._frames()
        folder = self._writer.folder
        assert folder is not None
        self._streams = {
            name: pa.ipc.new_stream(
                str(folder / f"{name}.arrow"),
                arrow_schema(TABLES[name]),
                options=pa.ipc.IpcWriteOptions(compression="zstd"),
            )
            for name in ("copies", "waits", "births", "spans")
        }

    def _frames(self) -> None:
        """Interned strings, frames and stacks; stack ``i`` is that of line ``i`` of ``_STEP``."""
        writer = self._writer
        lines = SOURCE.splitlines()
        for number, text in enumerate([*(line[0] for line in _STEP), "scores.nonzero()"]):
            line, col = next(
                (i, found) for i, code in enumerate(lines, 1) if (found := code.find(text)) >= 0
            )
            end = col + len(text.removesuffix(".argmax"))
            writer.rows("frames").append((FILE, "train", line, line, col, end, ""))
            writer.rows("stacks").append(([number],))
        col = lines[5].find("torch.randn(64, 64)")
        writer.rows("frames").append((FILE, "train", 6, 6, col, col + 19, ""))
        writer.rows("stacks").append(([len(_STEP) + 1],))
        writer.rows("sources").append((FILE, SOURCE))
        intern = writer.string
        names = [intern(t) for t in ("parameter", "Net", "weight", "cuda:0", "float32", "64x64")]
        writer.rows("placements").append((0, *names, 1 << 14, -1, 5, -1))

    def write(self) -> None:
        """All steps."""
        for first in range(0, self._steps, _CHUNK):
            self._chunk(first, min(_CHUNK, self._steps - first))
        for stream in self._streams.values():
            stream.close()
        self._writer.close(exit_code=0)

    def _write(self, table: str, columns: Columns) -> None:
        schema = arrow_schema(TABLES[table])
        batch = pa.record_batch(
            [pa.array(columns[f.name]).cast(f.type) for f in schema], schema=schema
        )
        for begin in range(0, batch.num_rows, BATCH_ROWS):
            self._streams[table].write_batch(batch.slice(begin, BATCH_ROWS))

    def _chunk(self, first: int, count: int) -> None:
        text = self._writer.string
        cpu, cuda, kind = text("cpu"), text("cuda:0"), text("float32")
        steps = np.arange(first, first + count, dtype=np.int64)
        begin = steps * _STEP_NS
        per: list[Columns] = []
        trip, logits = (self._random.integers(1, 2**63, count, dtype=np.uint64) for _ in range(2))
        place = 0
        for number, (_, times, direction, size, pinned, waits, content) in enumerate(_STEP):
            for _ in range(times):
                up = direction == "h2d"
                if content in {"new", "born"}:
                    hashes = self._random.integers(1, 2**63, count, dtype=np.uint64)
                elif content in {"trip", "logits"}:
                    hashes = trip if content == "trip" else logits
                else:
                    hashes = np.full(count, 77 if content == "same" else 0, dtype=np.uint64)
                source = steps * 64 + 2 * place
                if content == "same":
                    source = np.full(count, 1, dtype=np.int64)
                elif content == "logits":
                    source = steps * 64 + 50
                per.append(
                    {
                        "time_ns": begin + (place + 1) * 20_000,
                        "host_ns": np.full(count, 5_000 + size // 20),
                        "src_device": np.full(count, cpu if up else cuda),
                        "dst_device": np.full(count, cuda if up else cpu),
                        "bytes": np.full(count, size),
                        "src_dtype": np.full(count, kind),
                        "dst_dtype": np.full(count, kind),
                        "shape": np.full(count, text(str(size // 4))),
                        "pinned": np.full(count, pinned),
                        "non_blocking": np.full(count, not waits),
                        "waits": np.full(count, waits),
                        "src_storage": source,
                        "dst_storage": steps * 64 + 2 * place + 1,
                        "src_version": np.zeros(count, dtype=np.int64),
                        "dst_version": np.ones(count, dtype=np.int64),
                        "content_hash": hashes,
                        "hash_kind": np.full(count, int(content != "none")),
                        "operation": np.full(count, text("copy_")),
                        "src_birth": steps if content == "born" else np.full(count, -1),
                        **self._where(count, number),
                    }
                )
                place += 1
        self._write("copies", _interleaved(per))
        self._write(
            "waits",
            {
                "time_ns": begin + 900_000,
                "host_ns": np.full(count, 9_000),
                "cause": np.full(count, text("nonzero")),
                "device": np.full(count, cuda),
                **self._where(count, len(_STEP)),
            },
        )
        self._write(
            "births",
            {
                "birth": steps,
                "time_ns": begin + 10_000,
                "storage": steps * 64 + 6,
                "stack": np.full(count, len(_STEP) + 1),
                "thread": np.ones(count, dtype=np.int64),
                "kind": np.full(count, text("factory")),
            },
        )
        self._write("spans", _interleaved([self._span(begin, *s) for s in _SPANS]))

    def _span(self, begin: npt.NDArray[Any], kind: str, name: str, at: int) -> Columns:
        count, text = len(begin), self._writer.string
        return {
            "kind": np.full(count, text(kind)),
            "name": np.full(count, text(name)),
            "owner": np.full(count, 5),
            "start_ns": begin + at,
            "end_ns": begin + at + 1_000,
            "thread": np.ones(count, dtype=np.int64),
        }

    @staticmethod
    def _where(count: int, stack: int) -> Columns:
        return {
            "stack": np.full(count, stack),
            "thread": np.ones(count, dtype=np.int64),
            "phase": np.zeros(count, dtype=np.int64),
            "module": np.full(count, -1),
            "backward": np.zeros(count, dtype=np.int64),
        }


_SPANS: Final = (
    ("module", "Net", 310_000),
    ("backward", "", 920_000),
    ("optimizer", "Adam", 990_000),
)


def _interleaved(parts: list[Columns]) -> Columns:
    """The rows of a step one after the other, step after step."""
    return {name: np.stack([part[name] for part in parts], axis=1).reshape(-1) for name in parts[0]}


def _peak_bytes() -> int:
    """The largest resident memory of this process so far."""
    status = Path("/proc/self/status")
    if status.exists():  # what getrusage says may be that of the parent before it started us
        line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def judge(run: str) -> None:
    """Reads, analyses and judges; prints the figures as JSON.  Runs in a process of its own."""
    from placeaudit.analyze.run import analyze
    from placeaudit.report.summary import summarize
    from placeaudit.rules.registry import run_rules
    from placeaudit.store.reader import read_run

    figures: dict[str, float] = {"start_bytes": _peak_bytes()}
    start = time.perf_counter()

    def took(name: str, since: float) -> float:
        now = time.perf_counter()
        figures[f"{name}_s"] = now - since
        figures[f"{name}_bytes"] = _peak_bytes()
        return now

    audit = analyze(read_run(run))
    now = took("analyze", start)
    findings = run_rules(audit)
    now = took("rules", now)
    summarize(audit, findings)
    took("summary", now)
    figures |= {
        "total_s": time.perf_counter() - start,
        "peak_bytes": _peak_bytes(),
        "copies": len(audit.copies),
        "findings": len(findings),
        "strays": sum(finding.is_stray for finding in findings),
    }
    print(json.dumps(figures))


def measure(events: int, folder: Path) -> dict[str, float]:
    """The figures for a record of ``events`` copies."""
    run = folder / str(events)
    steps = events // COPIES_A_STEP
    Synthetic(run, steps).write()
    size = sum(file.stat().st_size for file in run.rglob("*") if file.is_file())
    done = subprocess.run(
        [sys.executable, __file__, "--judge", str(run)], capture_output=True, text=True, check=True
    )
    figures: dict[str, float] = json.loads(done.stdout)
    figures["record_bytes"] = size
    return figures


def _report(rows: list[dict[str, float]]) -> str:
    today = dt.datetime.now(tz=dt.UTC).date()
    about = (
        f"Written by `make bench-analysis` on {today}; Python {platform.python_version()}, numpy "
        f"{np.__version__}, pyarrow {pa.__version__}, {platform.system()} {platform.machine()}, "
        f"{os.cpu_count()} cores."
    )
    what = (
        f"Synthetic records of training steps, {COPIES_A_STEP} copies at {len(_STEP)} lines, one "
        "wait and three spans\neach. *Read and merge* is from the files to the audit; *rules* runs "
        "every rule. The peak is the\nprocess's largest resident memory, Python and libraries "
        "included. The goal is 10 M copies in 60 s\nand 2 GB on two cores."
    )
    lines = [
        "# Analysis of long records",
        "",
        about,
        "",
        what,
        "",
        "| copies | record on disk | read and merge, s | rules, s | total, s | peak memory |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['copies'] / 1e6:g} M | {row['record_bytes'] / 1e6:.0f} MB "
        f"| {row['analyze_s']:.1f} | {row['rules_s']:.1f} | {row['total_s']:.1f} "
        f"| {row['peak_bytes'] / 1e9:.2f} GB |"
        for row in rows
    ]
    return "\n".join([*lines, ""])


def main() -> None:
    """Measure and write the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, nargs="*", default=[2_000_000, 10_000_000])
    parser.add_argument("--output", type=Path, default=REPORT)
    parser.add_argument("--keep", type=Path, help="write the records here and keep them")
    parser.add_argument("--judge", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.judge:
        judge(options.judge)
        return
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for events in options.events:
            rows.append(measure(events, options.keep or Path(folder)))
            print(json.dumps(rows[-1]))
    options.output.parent.mkdir(exist_ok=True)
    options.output.write_text(_report(rows), encoding="utf-8")
    print(f"wrote {options.output}")


if __name__ == "__main__":
    main()
