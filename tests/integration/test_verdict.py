"""The gate as a team uses it: trace, baseline, a change, the verdict again."""

from __future__ import annotations

import json
from typing import Any

import pytest

TRAIN = """import torch

device = torch.device("cuda")
model = torch.nn.Linear(4, 1).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
data = torch.randn(20, 4, device=device)


def train():
    total = 0.0
    for row in data:
        optimizer.zero_grad()
        loss = model(row).sum()
        loss.backward()
        optimizer.step()
        total += loss.item()
    return total


train()
"""


@pytest.fixture
def traced(sandbox: Any) -> Any:
    """Writes the program and traces it into ``run``."""

    def trace(text: str) -> None:
        sandbox.write("train.py", text)
        done = sandbox.placeaudit("trace", "-q", "-f", "-o", "run", "train.py")
        assert done.returncode == 0, done.stderr

    sandbox.write("pyproject.toml", "[tool.placeaudit]\nsimulate = 'cuda'\n")
    return trace


def check(sandbox: Any, *args: str) -> tuple[int, list[tuple[str, int]], str]:
    done = sandbox.placeaudit("check", "run", "--output-format=json", *args)
    findings = json.loads(done.stdout)["findings"] if done.stdout else []
    strays = [f for f in findings if f["severity"] != "info"]
    return done.returncode, [(f["rule"], f["line"]) for f in strays], done.stderr


def test_a_baseline_over_the_life_of_a_program(sandbox: Any, traced: Any) -> None:
    traced(TRAIN)
    assert check(sandbox) == (1, [("PA201", 16)], "")
    sandbox.placeaudit("check", "run", "--write-baseline", "known.json")
    assert json.loads((sandbox.path / "known.json").read_text())["findings"] == [
        {"rule": "PA201", "path": "train.py", "function": "train", "count": 1}
    ]
    # Lines shift, nothing else: still known.
    traced(f"# A comment.\n\n{TRAIN}")
    code, strays, said = check(sandbox, "--baseline", "known.json")
    assert (code, strays) == (0, [])
    assert "1 finding known to known.json left out" in said
    # A new one in another function fails, and it alone is shown.
    traced(
        TRAIN.replace("\ntrain()", "\ndef log(loss):\n    print(loss.item())\n\n\ntrain()").replace(
            "        total +=", "        log(loss)\n        total +="
        )
    )
    code, strays, _ = check(sandbox, "--baseline", "known.json")
    assert (code, [rule for rule, _ in strays]) == (1, ["PA201"])
    # What is fixed is said, and goes.
    traced(TRAIN.replace("loss.item()", "loss.detach()"))
    code, strays, said = check(sandbox, "--baseline", "known.json")
    assert (code, strays) == (0, [])
    assert "dropped from known.json what is gone: PA201 train.py in train" in said
    assert json.loads((sandbox.path / "known.json").read_text())["findings"] == []


def test_a_change_between_two_runs(sandbox: Any, traced: Any) -> None:
    traced(TRAIN.replace("loss.item()", "loss.detach()"))
    (sandbox.path / "run").rename(sandbox.path / "before")
    traced(TRAIN)
    done = sandbox.placeaudit(
        "diff", "before", "run", "--fail-on=d2h_bytes:5%,new_findings", "--fail-on=h2d_bytes:5%"
    )
    assert done.returncode == 1
    assert "exceeded d2h_bytes:5%: d2h_bytes 0 B → 80 B (new)" in done.stdout
    assert "exceeded new_findings" in done.stdout
    assert "exceeded h2d_bytes" not in done.stdout
    assert "PA201 scalar-read train.py in train: `loss.item()`" in done.stdout


def test_a_wrong_ignore_warns_at_the_trace_and_stops_the_gate(sandbox: Any, traced: Any) -> None:
    text = TRAIN.replace("loss.item()", "loss.item()  # placeaudit: ignore")
    traced(text)
    done = sandbox.placeaudit("trace", "-f", "-o", "run", "train.py")
    assert done.returncode == 0
    assert "PA201 scalar-read" in done.stderr
    assert "train.py:16: `# placeaudit: ignore` names no rule" in done.stderr
    assert check(sandbox)[0] == 2


def test_what_comes_next_says_the_same_of_the_record(sandbox: Any) -> None:
    sandbox.write("train.py", TRAIN)
    done = sandbox.placeaudit("trace", "--simulate=cuda", "-o", "my run", "--own=lib", "train.py")
    assert "next: placeaudit report 'my run' --own lib" in done.stderr.splitlines()
