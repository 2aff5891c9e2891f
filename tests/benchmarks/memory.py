"""Measures what the recorder holds in memory and writes to disk, over long and awkward runs.

Each program runs twice in a process of its own, recorded and not, on the simulated device.  The
recorder's memory is the difference of what the system says the two hold of anonymous memory: heaps
of Python, PyTorch and Arrow, without the files of libraries, which processes share.  It is read at
a tenth of the run and at its end, after the record was written.  Run with ``make bench-memory``;
writes reports/memory.md.
"""

from __future__ import annotations

import argparse
import datetime as dt
import itertools
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

REPORT = Path(__file__).parents[2] / "reports" / "memory.md"
GOAL_BYTES: Final = 64 << 20
GOAL_BYTES_A_COPY: Final = 25


@dataclass(frozen=True)
class Program:
    """One way to run for long: what it is, how many turns, how many copies a turn makes."""

    title: str
    turns: int
    make: Callable[[], Callable[[int], None]]


def _training() -> Callable[[int], None]:
    """Batches up, a read down, a copy in backward: ten copies and a wait in a step."""
    import torch

    net = torch.nn.Linear(8, 4).cuda()
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    data = torch.randn(64, 16, 8)

    def step(turn: int) -> None:
        x = data[turn % 64].to("cuda")
        parts = [part.to("cuda") for part in data[turn % 64, :4]]
        mask = torch.ones(16, dtype=torch.bool).to("cuda")
        loss = net(x + parts[0])[mask].cpu().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()

    return step


def _copies() -> Callable[[int], None]:
    """Nothing but copies of data that changes."""
    import torch

    data = torch.zeros(64)

    def turn(number: int) -> None:
        data[0] = number
        down = data.to("cuda").cpu()
        assert down[0] == number

    return turn


def _generated() -> Callable[[int], None]:
    """A copy in code that is generated anew each turn."""
    import torch

    names: dict[str, Any] = {"x": torch.zeros(4)}

    def turn(number: int) -> None:
        exec(compile("y = x.cuda()", f"<made {number}>", "exec"), names)

    return turn


def _shapes() -> Callable[[int], None]:
    """Ever new shapes."""
    import torch

    data = torch.zeros(400, 400)

    def turn(number: int) -> None:
        data[: number % 399 + 1, : number // 399 % 399 + 1].contiguous().cuda()

    return turn


def _recursion() -> Callable[[int], None]:
    """Copies at ever new depths by ever new ways."""
    import torch

    data = torch.zeros(4)

    def left(path: int, depth: int) -> None:
        if depth:
            (left if path & 1 else right)(path >> 1, depth - 1)
        else:
            data.cuda()

    def right(path: int, depth: int) -> None:
        if depth:
            (left if path & 1 else right)(path >> 1, depth - 1)
        else:
            data.cuda()

    return lambda number: left(number, 20)


def _living() -> Callable[[int], None]:
    """Every tensor stays alive."""
    import torch

    kept: list[Any] = []
    return lambda number: kept.append(torch.full((1,), float(number)).cuda())


PROGRAMS: Final = {
    "training": Program("a training loop", 20_000, _training),
    "copies": Program("nothing but copies", 200_000, _copies),
    "generated": Program("code generated in every turn", 120_000, _generated),
    "shapes": Program("ever new shapes", 150_000, _shapes),
    "recursion": Program("ever new call stacks, 20 deep", 100_000, _recursion),
    "living": Program("every tensor kept alive", 150_000, _living),
}


def _anonymous() -> int:
    """Bytes of anonymous memory this process holds."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) << 10
    raise SystemExit("this system does not tell anonymous memory")


def run(name: str, scale: float, folder: str) -> None:
    """One measurement, in this process; prints its figures."""
    import gc

    from placeaudit.record.session import Session
    from placeaudit.simulate import simulate
    from placeaudit.store.writer import create_run

    program = PROGRAMS[name]
    turns = max(10, int(program.turns * scale))
    figures: dict[str, Any] = {"turns": turns, "held": []}
    with simulate("cuda"):
        session = None
        if folder:
            create_run(Path(folder), argv=[])
            session = Session.start(Path(folder))
        turn = program.make()
        for number in range(turns):
            turn(number)
            if number + 1 in {turns // 10, turns}:
                if session is not None:
                    session.settle()
                gc.collect()
                figures["held"].append(_anonymous())
        if session is not None:
            session.stop()
    if folder:
        figures |= _written(Path(folder))
    print(json.dumps(figures))


def _written(folder: Path) -> dict[str, int]:
    from placeaudit.store.reader import read_run

    (process,) = read_run(folder).processes
    files = {file.stem: file.stat().st_size for file in folder.rglob("*.arrow")}
    # What a window of some steps writes does not grow with the run.
    window = sum(files.get(table, 0) for table in ("operations", "storages", "windows"))
    return {
        "copies": process.tables["copies"].num_rows,
        "waits": process.tables["waits"].num_rows,
        "copies_bytes": files.get("copies", 0),
        "bytes": sum(files.values()) - window,
    }


def measure(name: str, scale: float) -> dict[str, Any]:
    """The program twice, each time in a new process."""
    found = []
    with tempfile.TemporaryDirectory() as made:
        for folder in ("", str(Path(made) / "run")):
            command = [sys.executable, __file__, "--run", name, "--scale", str(scale)]
            done = subprocess.run(
                [*command, "--folder", folder], capture_output=True, text=True, check=True,
                env={**os.environ, "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"},
            )  # fmt: skip
            found.append(json.loads(done.stdout.splitlines()[-1]))
    plain: dict[str, Any]
    recorded: dict[str, Any]
    plain, recorded = found
    recorded["memory"] = [
        with_us - without for with_us, without in zip(recorded["held"], plain["held"], strict=True)
    ]
    return recorded


def lines(results: dict[str, dict[str, Any]]) -> Iterator[str]:
    """The report."""
    import pyarrow as pa
    import torch

    yield "# Memory and size of records\n"
    yield (
        f"Written by `make bench-memory` on {dt.datetime.now(tz=dt.UTC).date()}; Python "
        f"{platform.python_version()}, torch {torch.__version__}, pyarrow {pa.__version__}, "
        f"{platform.system()} {platform.machine()}.\n"
    )
    yield (
        "Simulated device; each program with and without the recorder, in a process of its own. "
        "*Memory* is the anonymous memory that the recorded one holds more, libraries' heaps and "
        "the operation window included, at a tenth of the run and at its end. *Copies on disk* is "
        "the table of copies alone, *record* all tables but those of the window, for each copy. "
        f"The goals are {GOAL_BYTES >> 20} MB for any length and {GOAL_BYTES_A_COPY} bytes for "
        "each copy in a training loop; programs of ever new names, places or shapes must store "
        "these too.  Below zero, the recorder has handed memory back to the system that the "
        "program itself had freed.\n"
    )
    yield (
        "| program | turns | copies | memory at 1/10, MB | at the end, MB | copies on disk, "
        "bytes each | record, bytes a copy |"
    )
    yield "|---|---|---|---|---|---|---|"
    for name, found in results.items():
        early, late = (size / (1 << 20) for size in found["memory"])
        count = found["copies"]
        yield (
            f"| {PROGRAMS[name].title} | {found['turns']:,} | {count:,} | {early:.1f} | "
            f"{late:.1f} | {found['copies_bytes'] / count:.1f} | {found['bytes'] / count:.1f} |"
        )


def main() -> None:
    """Measure, print, write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", choices=PROGRAMS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", default="", help=argparse.SUPPRESS)
    parser.add_argument("--scale", type=float, default=1.0, help="1: as in the report")
    parser.add_argument("--only", choices=PROGRAMS, action="append", help="these programs")
    parser.add_argument("--output", type=Path, default=REPORT)
    given = parser.parse_args()
    if given.run:
        run(given.run, given.scale, given.folder)
        return
    results = {}
    for name in given.only or PROGRAMS:
        results[name] = measure(name, given.scale)
        print(name, results[name]["memory"], results[name]["copies"], flush=True)
    text = "\n".join(itertools.chain(lines(results), [""]))
    given.output.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
