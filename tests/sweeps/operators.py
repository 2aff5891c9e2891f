"""Runs PyTorch's operator samples on simulated CUDA beside the host; writes reports/operators.md.

``make sweep`` runs all of them.  Operators run in child processes: one that crashes or takes too
long is written down under its name, and the rest goes on in a new process.

    python tests/sweeps/operators.py [--samples N] [--operators PATTERN …] [--dtypes float32 …]
    python tests/sweeps/operators.py --pick 40 --seed 7      a sampled part; the exit status tells
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from sweep_report import Sweep, write_report

__all__ = ["Options", "main", "operator_names", "run_sweep"]

WORKER = Path(__file__).with_name("sweep_worker.py")
REPORT = Path(__file__).parents[2] / "reports" / "operators.md"
#: Operators that one process runs before it is replaced, so that memory does not add up.
BATCH = 100


@dataclass(frozen=True)
class Options:
    """What to run."""

    samples: int = 1_000_000
    dtypes: tuple[str, ...] = ()
    jobs: int = 2
    #: Seconds for one case of one operator.
    limit_s: float = 120.0


@dataclass
class _Batch:
    """Some operators on their way through worker processes."""

    options: Options
    folder: Path
    plan: list[tuple[str, list[str]]]
    records: list[dict[str, Any]] = field(default_factory=list)
    _starts: int = 0

    def run(self) -> list[dict[str, Any]]:
        """All of them, however many processes it takes."""
        while self.plan:
            self._advance(self._run_process())
        return self.records

    def _run_process(self) -> str:
        """What ended the process: nothing (all done), a signal, the time limit."""
        plan, progress = self.folder / "plan.json", self.folder / "progress.json"
        plan.write_text(json.dumps(self.plan), encoding="utf-8")
        progress.write_text("{}", encoding="utf-8")
        options = self.options
        command = [sys.executable, str(WORKER), "--plan", str(plan), "--progress", str(progress)]
        command += ["--results", str(self.folder / "results.jsonl")]
        command += ["--samples", str(options.samples), "--dtypes", *options.dtypes]
        environment = {**os.environ, "PYTHONFAULTHANDLER": "1", "OMP_NUM_THREADS": "1"}
        log = (self.folder / "log.txt").open("w", encoding="utf-8")
        with log, subprocess.Popen(command, env=environment, stdout=log, stderr=log) as process:
            while True:
                try:
                    status = process.wait(timeout=2)
                except subprocess.TimeoutExpired:
                    if time.time() - progress.stat().st_mtime < options.limit_s:
                        continue
                    process.kill()
                    process.wait()
                    return "took too long"
                return "" if status == 0 else f"ended with status {status}"

    def _advance(self, reason: str) -> None:
        """Read what is done; what was being done when the process ended is written off."""
        results = self.folder / "results.jsonl"
        lines = results.read_text(encoding="utf-8").splitlines() if results.exists() else []
        fresh = [json.loads(line) for line in lines]
        self.records.extend(fresh)
        results.unlink(missing_ok=True)
        if not reason:
            self.plan = []
            return
        where = json.loads((self.folder / "progress.json").read_text(encoding="utf-8"))
        if not where:
            self._starts += 1
            if self._starts < 3:
                return
            log = (self.folder / "log.txt").read_text(encoding="utf-8")
            raise RuntimeError(f"a worker process {reason} before it began:\n{log[-2000:]}")
        name, dtype = where["name"], where["dtype"]
        example = f"sample {where['turn']}: the process {reason}"
        row = {where["case"]: {"counts": {"crashed": 1}, "examples": [example]}}
        self.records.append({"name": name, "dtype": dtype, "on_gpu": True, "rows": row})
        names = [operator for operator, _ in self.plan]
        self.plan = self.plan[names.index(name) :]
        done = {record["dtype"] for record in self.records if record["name"] == name}
        self.plan[0] = (name, sorted({*self.plan[0][1], *done}))


def operator_names() -> list[str]:
    """All of PyTorch's ``op_db``, variants apart, and what it leaves out."""
    from sweep_more import more_operators
    from torch.testing._internal.common_methods_invocations import op_db

    return [op.full_name for op in (*op_db, *more_operators())]


def run_sweep(names: Iterable[str], options: Options) -> Sweep:
    """Run these operators in ``options.jobs`` processes at a time."""
    started = time.monotonic()
    ordered = list(names)
    # Neighbours are alike and alike slow: deal them out.
    count = max(1, min(len(ordered), max(options.jobs, len(ordered) // BATCH)))
    hands = [ordered[i::count] for i in range(count)]
    with tempfile.TemporaryDirectory(prefix="sweep-") as root:
        batches = []
        for i, hand in enumerate(hands):
            folder = Path(root) / str(i)
            folder.mkdir()
            batches.append(_Batch(options, folder, [(name, []) for name in hand]))
        with ThreadPoolExecutor(options.jobs) as pool:
            records = [record for part in pool.map(_Batch.run, batches) for record in part]
    limit = 0 if options.samples == Options.samples else options.samples
    return Sweep(records, time.monotonic() - started, limit)


def _updated(sweep: Sweep, stored: dict[str, Any]) -> Sweep:
    """A stored sweep with the operators that ran again replaced."""
    names = {record["name"] for record in sweep.records}
    kept = [record for record in stored["records"] if record["name"] not in names]
    return Sweep(kept + sweep.records, stored["seconds"] + sweep.seconds, stored["samples"])


def main() -> int:
    """Parse the command line, run, report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--operators", nargs="*", metavar="PATTERN", help="names, with wildcards")
    parser.add_argument("--dtypes", nargs="*", default=[], metavar="DTYPE")
    parser.add_argument("--samples", type=int, default=Options.samples, help="most per dtype")
    parser.add_argument("--pick", type=int, metavar="N", help="only N operators, chosen by chance")
    parser.add_argument("--seed", type=int, default=random.randrange(10_000))
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--limit", type=float, default=Options.limit_s, help="seconds per call")
    parser.add_argument("--json", type=Path, help="also write everything that was observed")
    parser.add_argument("--update", type=Path, help="such a file: run again these operators of it")
    parser.add_argument("--report", type=Path, help="where to write (default for all operators)")
    options = parser.parse_args()
    names = operator_names()
    if options.operators:
        patterns = options.operators
        names = [name for name in names if any(fnmatch.fnmatch(name, p) for p in patterns)]
    if options.pick:
        print(f"seed {options.seed}")
        names = random.Random(options.seed).sample(names, options.pick)
    sweep = run_sweep(
        names, Options(options.samples, tuple(options.dtypes), options.jobs, options.limit)
    )
    if options.update:
        sweep = _updated(sweep, json.loads(options.update.read_text(encoding="utf-8")))
    if options.json:
        stored = {"records": sweep.records, "seconds": sweep.seconds, "samples": sweep.samples}
        options.json.write_text(json.dumps(stored, indent=1), encoding="utf-8")
    is_all = not (options.operators or options.pick or options.dtypes)
    path = options.report or (REPORT if is_all else None)
    if path:
        write_report(sweep, path)
    print(sweep.summary())
    return 1 if sweep.unexplained() else 0


if __name__ == "__main__":
    sys.exit(main())
