"""Bytes and counts that placeaudit records against those that CUPTI saw, through torch.profiler."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

import placeaudit

pytestmark = pytest.mark.usefixtures("cuda")

KINDS = {"Memcpy HtoD": "h2d", "Memcpy DtoH": "d2h"}


def _cupti(prof: profile) -> Counter[str]:
    """Number of memory copies by direction."""
    found: Counter[str] = Counter()
    for event in prof.events() or ():
        for prefix, direction in KINDS.items():
            if event.name.startswith(prefix):
                found[direction] += 1
    return found


def _step() -> None:
    model = torch.nn.Linear(256, 256).cuda()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    pinned = torch.randn(64, 256).pin_memory()
    for _ in range(4):
        x = torch.randn(64, 256).cuda()
        y = pinned.cuda(non_blocking=True)
        loss = (model(x) - y).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()
        x[x > 0].sum().item()
        x[torch.tensor([1, 2])].cpu()


def test_every_copy_that_the_driver_made_is_recorded() -> None:
    _step()
    with placeaudit.trace() as run, profile(activities=[ProfilerActivity.CUDA]) as prof:
        _step()
        torch.cuda.synchronize()
    recorded = Counter(row["direction"] for row in run.copies.to_pylist())
    seen = _cupti(prof)
    assert recorded["h2d"] == seen["h2d"]
    # A mask's nonzero reads its count from the device: a wait of ours, a copy of CUPTI's.
    counted = sum(row["cause"] == "nonzero" for row in run.waits.to_pylist())
    assert recorded["d2h"] + counted == seen["d2h"]


def test_blocked_time_is_measured_and_plausible() -> None:
    with placeaudit.trace() as run:
        x = torch.ones(64 << 20, dtype=torch.uint8)
        for _ in range(3):
            x.cuda()
        torch.cuda.synchronize()
    summary = run.summary()
    assert summary.basis == "measured"
    copies = run.copies.to_pylist()
    assert sum(row["bytes"] for row in copies if row["direction"] == "h2d") == 3 * (64 << 20)
    rate = (64 << 20) / min(row["blocked_s"] for row in copies if row["direction"] == "h2d")
    assert 1e9 < rate < 1e12  # bytes a second over any link
