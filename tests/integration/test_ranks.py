"""Two ranks under ``torchrun``, audited from outside of it and from inside."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import placeaudit

pytest.importorskip("torch")

PROGRAM = str(Path(__file__).parent / "programs" / "ranks.py")
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
TRACE = ("-m", "placeaudit", "trace", "--simulate", "cuda:2", "-o", "run")

COMMANDS = {
    "trace of torchrun": (*TRACE, *TORCHRUN, PROGRAM),
    "torchrun of trace": (*TORCHRUN, *TRACE, PROGRAM),
}


def audit(folder: Path, *command: str) -> tuple[placeaudit.Run, Any]:
    done = subprocess.run(
        [sys.executable, *command],
        cwd=folder, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return placeaudit.load(folder / "run"), done


@pytest.mark.parametrize("how", COMMANDS)
def test_clean_training_of_two_ranks_is_clean(how: str, tmp_path: Path) -> None:
    run, done = audit(tmp_path, *COMMANDS[how])
    assert [(f.rule, f.line) for f in run.findings if f.is_stray] == []
    assert done.stdout.startswith("loss ")
    assert done.stderr.count("placeaudit: ") == 1  # one verdict for all
    copies = run.copies.to_pylist()
    # Every batch crosses to the rank it belongs to; gradients go from device to device unseen.
    sizes = {16 * 64 * 4, 16 * 8}
    batches = Counter(row["dst"] for row in copies if row["bytes"] in sizes and row["pinned"])
    assert batches == {"cuda:0": 2 * 2 * 8, "cuda:1": 2 * 2 * 8}
    assert not [row for row in copies if row["direction"] == "d2d"]


@pytest.mark.parametrize("how", COMMANDS)
def test_what_both_ranks_do_is_said_once(how: str, tmp_path: Path) -> None:
    run, _ = audit(tmp_path, *COMMANDS[how], "stray")
    stray = [finding for finding in run.findings if finding.is_stray]
    line = next(
        number
        for number, text in enumerate(Path(PROGRAM).read_text().splitlines(), 1)
        if "loss.item()" in text
    )
    assert [(f.rule, f.line, f.count) for f in stray] == [("PA201", line, 2 * 2 * 8)]
    assert stray[0].ranks == (0, 1)


def need_open_mpi() -> None:
    mpirun = shutil.which("mpirun")
    if mpirun is None or b"Open MPI" not in subprocess.check_output([mpirun, "--version"]):
        pytest.skip("mpirun of Open MPI is not installed")


def test_ranks_of_mpirun_record_into_one_run(tmp_path: Path) -> None:
    need_open_mpi()
    program = tmp_path / "program.py"
    program.write_text(
        "import os, torch\n"
        "rank = int(os.environ['OMPI_COMM_WORLD_RANK'])\n"
        "total = torch.zeros((), device=f'cuda:{rank}')\n"
        "for _ in range(4 + rank):\n"
        "    print('', end=str(total.item())[:0])\n"
    )
    done = subprocess.run(
        ["mpirun", "--allow-run-as-root", "--oversubscribe", "-np", "2", sys.executable,
         *TRACE, str(program)],
        cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    run = placeaudit.load(tmp_path / "run")
    (found,) = [finding for finding in run.findings if finding.rule == "PA201"]
    assert (found.count, found.ranks) == (4 + 5, (0, 1))
    assert done.stderr.count("placeaudit: ") == 1
    processes = Counter(row["process"] for row in run.copies.to_pylist())
    assert sorted(processes.values()) == [4, 5]
