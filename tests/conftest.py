"""A record written by hand and its analysed result: reporters are tested without a framework."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from placeaudit.analyze.run import analyze
from placeaudit.model import (
    Certainty,
    Direction,
    Estimate,
    Evidence,
    Finding,
    Frame,
    Severity,
)
from placeaudit.report.base import Result
from placeaudit.store.reader import read_run
from placeaudit.store.writer import RecordWriter, create_run

MS = 1_000_000
SOURCE = """import torch

for step in range(24):
    x = batch(step).to("cuda")
    loss = model(x).sum()
    loss.backward()
    optimizer.step()
    total += loss.item()
"""


def _record(
    path: Path,
    *,
    steps: int = 24,
    file: str = "/work/train.py",
    source: str = SOURCE,
    shift: int = 0,
    upload: int = 1 << 20,
    reads: bool = True,
    simulated: str = "cuda:1=h100",
    exit_code: int = 0,
) -> Path:
    """``steps`` steps of 10 ms, each with an upload of 1 MiB and a read of 4 bytes.

    ``shift`` moves all of the program down by as many lines; ``upload`` is the size of an upload.
    """
    create_run(path, argv=["train.py", "--lr", "1e-3"], simulated=simulated)
    writer = RecordWriter(path, flush_interval_s=3600)
    writer.start()
    text = writer.string
    writer.rows("frames").extend(
        [
            (file, "<module>", 4 + shift, 4 + shift, 8, 33, ""),
            (file, "<module>", 8 + shift, 8 + shift, 13, 24, ""),
        ]
    )
    writer.rows("stacks").extend([([0],), ([1],)])
    writer.rows("sources").append((file, "\n" * shift + source))
    cpu, cuda, dtype, copy_ = text("cpu"), text("cuda:0"), text("float32"), text("copy_")
    forward, outside = (0, 7, 3, -1, 0), (1, 7, 0, -1, 0)  # stack, thread, phase, module, backward
    for step in range(steps):
        now = step * 10 * MS
        up = (now, 50_000, cpu, cuda, upload, dtype, dtype, text("512x512"))
        writer.rows("copies").append(
            (*up, False, False, True, 1, 100 + step, step, 0, 7 + step, 1, copy_, -1, *forward)
        )
        read = (now + 8 * MS, 20_000, cuda, cpu, 4, dtype, dtype, text(""))
        if reads:
            writer.rows("copies").append(
                (
                    *read,
                    False,
                    False,
                    True,
                    200,
                    300 + step,
                    step,
                    0,
                    9 + step,
                    1,
                    copy_,
                    -1,
                    *outside,
                )
            )
        for kind, name, start, end in (
            ("module", "Net", 1, 3),
            ("backward", "", 3, 6),
            ("optimizer", "Adam", 6, 7),
        ):
            writer.rows("spans").append(
                (text(kind), text(name), 5, now + start * MS, now + end * MS, 7)
            )
    weight = (0, text("parameter"), text("Net"), text("head.weight"), cuda, dtype, text("4x16"))
    writer.rows("placements").append((*weight, 256, -1, 5, -1))
    writer.close(exit_code=exit_code)
    return path


def _finding(**changes: object) -> Finding:
    """A plausible finding of PA201."""
    values: dict[str, object] = {
        "rule": "PA201",
        "name": "scalar-read",
        "severity": Severity.WARNING,
        "certainty": Certainty.PROVEN,
        "message": "loss.item() makes the host wait for the device in every step.",
        "fix": "Keep the sum on the device and read it once per epoch.",
        "file": "/work/train.py",
        "line": 8,
        "end_line": 8,
        "function": "<module>",
        "phase": "other",
        "count": 24,
        "per_step": 1.0,
        "bytes": 96,
        "direction": Direction.D2H,
        "src": "cuda:0",
        "dst": "cpu",
        "blocked_s": 0.0123,
        "blocked_basis": "modelled on h100",
        "evidence": (Evidence("blocks", "24 reads of 4 bytes blocked the host"),),
    }
    return Finding(**(values | changes))  # type: ignore[arg-type]


@pytest.fixture
def make_finding() -> Callable[..., Finding]:
    """Builds a finding; keyword arguments change its fields."""
    return _finding


@pytest.fixture
def make_record() -> Callable[..., Path]:
    """Writes a record of 24 steps, an upload and a read in each."""
    return _record


@pytest.fixture
def source() -> str:
    """What the program of these records says."""
    return SOURCE


@pytest.fixture
def gold_record(tmp_path: Path) -> Path:
    return _record(tmp_path / "run")


@pytest.fixture
def gold_result(gold_record: Path) -> Result:
    """24 steps, an upload and a read in each, three findings."""
    findings = (
        _finding(
            estimate=Estimate(0.0005, 0.05, 0.0, 0.0005, True, "modelled on h100"),
            related=(("downloaded here", Frame("/work/train.py", "<module>", 4)),),
        ),
        _finding(
            rule="PA202",
            name="pageable-upload",
            line=4,
            end_line=4,
            bytes=24 << 20,
            direction=Direction.H2D,
            src="cpu",
            dst="cuda:0",
            message="Each upload from pageable memory makes the host wait.",
            fix="Give the DataLoader pin_memory=True.",
            certainty=Certainty.LIKELY,
        ),
        _finding(rule="PA205", name="explicit-sync", severity=Severity.INFO, line=6),
    )
    return Result(analyze(read_run(gold_record)), findings)


@pytest.fixture
def empty_record(tmp_path: Path) -> Path:
    """A program that touched no device, on a machine without one."""
    path = tmp_path / "nothing"
    create_run(path, argv=["train.py"])
    writer = RecordWriter(path, flush_interval_s=3600)
    writer.start()
    writer.close(exit_code=0)
    return path


@pytest.fixture
def empty_result(empty_record: Path) -> Result:
    return Result(analyze(read_run(empty_record)), ())
