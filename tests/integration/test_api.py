"""The Python API in a program of its own, with a simulated device."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

PROGRAM = """
import json, pathlib, sys
import torch
import placeaudit

def train():
    device = "cuda:1"
    model = torch.nn.Linear(8, 4).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    total = 0.0
    for _ in range(12):
        loss = model(torch.zeros(16, 8).to(device)).square().mean()
        loss.backward()
        optimizer.step()
        total += loss.item()

with placeaudit.simulate("cuda:2=h100"):
    with placeaudit.trace(PATH) as run:
        try:
            run.findings
        except placeaudit.PlaceauditError as error:
            early = str(error)
        with placeaudit.trace() as inner:
            torch.ones(3).to("cuda:1")
        train()

assert not torch.cuda.is_available()
summary = run.summary()
page = run.report("page.html")
again = placeaudit.load(run.path)
print(json.dumps({
    "early": early,
    "nested": [inner.copies.num_rows, inner.summary().h2d.bytes, inner.path != run.path],
    "findings": [[f.rule, f.line, f.count] for f in run.findings if f.is_stray],
    "again": [[f.rule, f.line, f.count] for f in again.findings if f.is_stray],
    "h2d": [summary.h2d.count, summary.h2d.bytes],
    "d2h": [summary.d2h.count, summary.d2h.bytes],
    "basis": summary.basis,
    "steps": summary.steps,
    "copies": run.copies.num_rows,
    "devices": sorted(set(run.copies.column("dst").to_pylist())),
    "waits": run.waits.num_rows,
    "placements": sorted(set(run.placements.column("device").to_pylist())),
    "page": page.read_text()[:15],
    "path": str(run.path),
}))
"""


@pytest.mark.parametrize("path", ["", "'kept'"])
def test_trace_simulate_and_load(sandbox: Any, path: str) -> None:
    program = PROGRAM.replace("PATH", path)
    sandbox.write("main.py", program)
    done = sandbox.python("main.py")
    assert done.returncode == 0, done.stderr
    got = json.loads(done.stdout)
    lines = program.splitlines()
    upload = next(i for i, line in enumerate(lines, 1) if "torch.zeros" in line)
    read = next(i for i, line in enumerate(lines, 1) if "loss.item()" in line)
    assert sorted(got["findings"]) == [["PA103", upload, 12], ["PA201", read, 12]]
    assert got["again"] == got["findings"]
    assert got["h2d"] == [15, 3 * 4 + 12 * 16 * 8 * 4 + (8 * 4 + 4) * 4]
    assert got["d2h"] == [12, 12 * 4]
    assert (got["basis"], got["steps"]) == ("modelled on h100", 12)
    assert got["copies"] == 27
    assert got["devices"] == ["cpu", "cuda:1"]
    assert got["waits"] >= 12
    assert "cuda:1" in got["placements"]
    assert got["page"] == "<!DOCTYPE html>"
    assert "still running" in got["early"]
    assert got["nested"] == [1, 12, True]
    assert (sandbox.path / "kept").is_dir() == bool(path)
    if not path:
        assert not Path(got["path"]).exists()


INSIDE = """
import torch
import placeaudit

with placeaudit.simulate("cuda=a100"):
    total = torch.ones(64, device="cuda")
    for _ in range(12):
        total += torch.zeros(64).to("cuda")
        placeaudit.step()
"""


def test_a_program_that_simulates_can_be_traced(sandbox: Any) -> None:
    sandbox.write("main.py", INSIDE)
    assert sandbox.placeaudit("trace", "-q", "main.py").returncode == 0
    checked = sandbox.placeaudit("check", "--output-format=json", "placeaudit-run")
    document = json.loads(checked.stdout)
    (run,) = document["runs"]
    assert run["simulated"] == "a100"
    assert run["summary"]["steps"] == 12
    assert run["summary"]["blocked_basis"] == "modelled on a100"
    strays = [found["rule"] for found in document["findings"] if found["severity"] != "info"]
    assert strays == ["PA103"]


def test_without_a_device_the_tables_are_empty(sandbox: Any) -> None:
    sandbox.write(
        "main.py",
        "import placeaudit\n"
        "with placeaudit.trace() as run:\n"
        "    pass\n"
        "print(run.copies.num_rows, run.waits.num_rows, run.placements.num_rows)\n"
        "print(run.summary().blocked_s, run.summary().copies)\n",
    )
    assert sandbox.python("main.py").stdout == "0 0 0\nNone 0\n"
