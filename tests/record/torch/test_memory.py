"""What the recorder keeps in memory does not grow with the length of the run."""

from __future__ import annotations

import gc
import itertools
import tracemalloc
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import placeaudit
from placeaudit.record import content
from placeaudit.record.session import Session
from placeaudit.record.torch import context
from placeaudit.store.writer import create_run

PARTS = [
    tracemalloc.Filter(True, f"{Path(placeaudit.__file__).parent}/{part}/*")
    for part in ("record", "store")
]


def trained() -> Callable[[], None]:
    """A step of a tiny training loop, with an upload, a read, a wait and a backward copy."""
    net = torch.nn.Linear(4, 2).cuda()
    optimizer = torch.optim.SGD(net.parameters(), 0.1)

    def step() -> None:
        x = torch.ones(3, 4).cuda()
        mask = torch.tensor([True, False, True]).cuda()
        loss = net(x)[mask].cpu().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()

    return step


def kept() -> tuple[Counter[str], int]:
    """Objects that the collector knows, by type, and bytes that the recorder allocated."""
    gc.collect()
    objects = Counter(type(thing).__qualname__ for thing in gc.get_objects())
    taken = tracemalloc.take_snapshot().filter_traces(PARTS)
    return objects, sum(trace.size for trace in taken.traces)


def test_nothing_grows_over_the_steps(
    tmp_path: Path, cuda: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The bounds themselves are the benchmark's (reports/memory.md); here they are small.
    monkeypatch.setattr(context, "MAX_FORWARD_SITES", 64)
    monkeypatch.setattr(content, "_SWEEP_FROM", 64)
    create_run(tmp_path / "run", argv=[])
    session = Session.start(tmp_path / "run")
    step = trained()
    figures = []
    tracemalloc.start()
    try:
        for steps in (200, 400, 400):
            for _ in range(steps):
                step()
            session.settle()
            figures.append(kept())
    finally:
        tracemalloc.stop()
        session.stop()
    turns = list(itertools.pairwise(figures))
    # 400 steps of nine copies and waits: anything kept per event would show in thousands, and in
    # both turns; what else goes on in this process does not come twice.
    grown = min((later - objects for (objects, _), (later, _) in turns), key=lambda c: c.total())
    assert grown.total() < 100, grown
    assert min(later - taken for (_, taken), (_, later) in turns) < 16_384
