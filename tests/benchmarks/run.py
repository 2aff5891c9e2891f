"""Measures what recording and simulating cost, as ratios in one run; writes reports/benchmarks.md.

Each round times the same training steps untraced, traced and under torch.profiler, one right after
the other, so that a machine whose speed drifts does not matter; the median of the rounds' ratios
is reported with its quartiles.  Run with ``make bench``.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import os
import platform
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

os.environ.setdefault("KINETO_LOG_LEVEL", "99")

import torch
from torch.profiler import ProfilerActivity, profile

import placeaudit

sys.path.insert(0, str(Path(__file__).parent))
from operator_costs import Costs, measure_operators, operator_table
from workloads import WORKLOADS

REPORT = Path(__file__).parents[2] / "reports" / "benchmarks.md"
MAIN = ("resnet", "transformer", "mlp")
SMALL = ("tiny-mlp", "tiny-cnn", "tiny-lstm", "tiny-transformer")

Step = Callable[[], torch.Tensor]


@dataclass
class Ratios:
    """One figure over all rounds."""

    values: list[float] = field(default_factory=list)

    def __str__(self) -> str:
        low, middle, high = statistics.quantiles(self.values, n=4)
        return f"{middle:.3f} ({low:.3f} to {high:.3f})"


@contextlib.contextmanager
def _traced(folder: Path, count: Iterator[int]) -> Iterator[None]:
    with placeaudit.trace(folder / f"run{next(count)}"):
        yield


@contextlib.contextmanager
def _profiled() -> Iterator[None]:
    with profile(activities=[ProfilerActivity.CPU]):
        yield


def _guarded(step: Step) -> Step:
    """``step`` with a guard of its own, put in place and taken away each time."""

    def guarded() -> torch.Tensor:
        with _guard():
            return step()

    return guarded


def _guard() -> contextlib.AbstractContextManager[None]:
    """Looks at every copy and wait; nothing that the workloads do is refused."""
    return placeaudit.guard(d2d="disallow")


def _seconds(step: Step, repeats: int) -> float:
    """Wall seconds of ``repeats`` steps, after one that does not count."""
    step()
    start = time.perf_counter()
    for _ in range(repeats):
        step()
    return (time.perf_counter() - start) / repeats


def _repeats(step: Step, wanted_s: float = 0.5) -> int:
    return max(1, round(wanted_s / _seconds(step, 1)))


def _counter() -> Iterator[int]:
    number = 0
    while True:
        yield number
        number += 1


@dataclass
class Row:
    """Ratios of one workload on one kind of tensors."""

    name: str
    device: str
    step_ms: float = 0.0
    traced: Ratios = field(default_factory=Ratios)
    guard: Ratios = field(default_factory=Ratios)
    guard_each: Ratios = field(default_factory=Ratios)
    after: Ratios = field(default_factory=Ratios)
    profiled: Ratios = field(default_factory=Ratios)
    simulated: Ratios = field(default_factory=Ratios)


def _measure(name: str, rounds: int, folder: Path) -> list[Row]:
    """Host and simulated tensors side by side."""
    host, cuda = (WORKLOADS[name].make(device) for device in ("cpu", "cuda"))
    rows = [Row(name, "host"), Row(name, "simulated")]
    repeats = _repeats(host)
    count = _counter()
    host_times: list[list[float]] = [[], []]
    for _ in range(rounds):
        plain: list[float] = []
        for row, step, times in zip(rows, (host, cuda), host_times, strict=True):
            before = _seconds(step, repeats)
            with _traced(folder, count):
                traced = _seconds(step, repeats)
            with _guard():
                guarded = _seconds(step, repeats)
            guarded_each = _seconds(_guarded(step), repeats)
            after = _seconds(step, repeats)
            with _profiled():
                profiled = _seconds(step, repeats)
            # Against the mean of before and after: a drift within the round cancels out.
            untraced = (before + after) / 2
            row.traced.values.append(traced / untraced)
            row.guard.values.append(guarded / untraced)
            row.guard_each.values.append(guarded_each / untraced)
            row.after.values.append(after / before)
            row.profiled.values.append(profiled / untraced)
            plain.append(untraced)
            times.append(untraced)
        rows[1].simulated.values.append(plain[1] / plain[0])
    for row, times in zip(rows, host_times, strict=True):
        row.step_ms = statistics.median(times) * 1e3
    return rows


def _table(rows: list[Row]) -> list[str]:
    titles = (
        "workload",
        "tensors",
        "step, ms",
        "traced / untraced",
        "guard / untraced",
        "guard in each step / untraced",
        "torch.profiler / untraced",
        "after stop / before",
        "simulated / host",
    )
    lines = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    for row in rows:
        simulated = str(row.simulated) if row.simulated.values else ""
        lines.append(
            f"| {row.name} | {row.device} | {row.step_ms:.1f} | {row.traced} | {row.guard} "
            f"| {row.guard_each} | {row.profiled} "
            f"| {row.after} | {simulated} |"
        )
    return lines


def _report(rows: list[Row], costs: dict[str, Costs], rounds: int) -> str:
    today = dt.datetime.now(tz=dt.UTC).date()
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    software = f"torch {torch.__version__}, Python {platform.python_version()}"
    threads = f"{torch.get_num_threads()} thread for operators"
    lines = (
        "# Benchmarks",
        "",
        f"Written by `make bench` on {today}; {software}, {machine}, {threads}.",
        "",
        f"Medians of {rounds} rounds (quartiles in brackets); a ratio of 1.03 is 3 % slower.",
        "*Traced* is the always-on recording with content hashes and call stacks. *Guard* is",
        "`placeaudit.guard` alone, held over all steps, or entered and left in each one. *Host*",
        "tensors train on the CPU; *simulated* ones on simulated CUDA. torch.profiler records",
        "CPU activities with its defaults: it sees every operator but neither which copies",
        "cross devices in simulation nor where they come from; the two do different work.",
        "The CPU step that *simulated* is compared with runs in the same process.",
        "TensorFlow's figures are in [tensorflow_costs.md](tensorflow_costs.md).",
        "",
        *_table(rows),
        "",
        "## One call of an operator",
        "",
        "On tensors of 8 by 8 elements; medians of the same rounds, the host and the simulated",
        "device one right after the other. A copy that is traced is hashed and its stack is kept.",
        "",
        *operator_table(costs),
        "",
    )
    return "\n".join(lines)


def _folder(parent: str, name: str) -> Path:
    folder = Path(parent) / name
    folder.mkdir()
    return folder


def main() -> None:
    """Measure and write the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--workloads", nargs="*", default=[*MAIN, *SMALL])
    parser.add_argument("--output", type=Path, default=REPORT)
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder, placeaudit.simulate("cuda"):
        for name in options.workloads:
            rows += _measure(name, options.rounds, _folder(folder, name))
            for row in rows[-2:]:
                print(
                    row.name,
                    row.device,
                    f"{row.step_ms:.1f} ms",
                    "traced",
                    row.traced,
                    "guard",
                    row.guard,
                )
        costs = measure_operators(options.rounds, _folder(folder, "operators"))
    options.output.parent.mkdir(exist_ok=True)
    options.output.write_text(_report(rows, costs, options.rounds), encoding="utf-8")
    print(f"wrote {options.output}")


if __name__ == "__main__":
    main()
