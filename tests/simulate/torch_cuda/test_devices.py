"""Several devices in one process: model parallelism, pipelines, data parallelism, their copies."""

from __future__ import annotations

import copy
from collections import Counter

import pytest
import torch
from torch import nn

import placeaudit

pytestmark = pytest.mark.usefixtures("cuda")


class Split(nn.Module):
    """Half of it on each device."""

    def __init__(self, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.first, self.second = first.to("cuda:0"), second.to("cuda:1")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.second(self.first(x.to("cuda:0")).to("cuda:1"))
        return result


def _halves() -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU()), nn.Linear(16, 4)


def test_a_model_on_two_devices_learns_what_one_on_the_host_does() -> None:
    plain = nn.Sequential(*copy.deepcopy(_halves()))
    split = Split(*_halves())
    x, y = torch.randn(6, 8), torch.randn(6, 4)
    expected = nn.functional.mse_loss(plain(x), y)
    expected.backward()
    with placeaudit.trace() as run:
        loss = nn.functional.mse_loss(split(x), y.to("cuda:1"))
        loss.backward()
    assert loss.item() == expected.item()
    for ours, theirs in zip(split.parameters(), plain.parameters(), strict=True):
        assert ours.grad is not None
        assert theirs.grad is not None
        assert ours.grad.device == ours.device
        assert torch.equal(ours.grad.cpu(), theirs.grad)
    between = [
        (row["src"], row["dst"], row["bytes"], row["waits"])
        for row in run.copies.to_pylist()
        if row["direction"] == "d2d"
    ]
    assert between == [("cuda:0", "cuda:1", 6 * 16 * 4, False), ("cuda:1", "cuda:0", 384, False)]


def test_a_pipeline_of_micro_batches_copies_each_once() -> None:
    split = Split(*_halves())
    x = torch.randn(8, 8)
    with placeaudit.trace() as run, torch.no_grad():
        waiting = split.first(x[:2].to("cuda:0")).to("cuda:1")
        results = []
        for part in x.split(2)[1:]:
            results.append(split.second(waiting))
            waiting = split.first(part.to("cuda:0")).to("cuda:1", non_blocking=True)
        results.append(split.second(waiting))
        torch.cuda.synchronize(1)
    with torch.no_grad():
        torch.testing.assert_close(torch.cat(results), split(x))
    assert Counter(row["direction"] for row in run.copies.to_pylist()) == {"h2d": 4, "d2d": 4}


def test_data_parallel_learns_what_one_device_does() -> None:
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 2))
    parallel = nn.DataParallel(copy.deepcopy(plain).cuda())
    steps = [torch.optim.SGD(model.parameters(), lr=0.1) for model in (plain, parallel)]
    for _ in range(3):
        x = torch.randn(6, 8)
        for model, optimizer, batch in ((plain, steps[0], x), (parallel, steps[1], x.cuda())):
            optimizer.zero_grad()
            model(batch).square().mean().backward()
            optimizer.step()
    for ours, theirs in zip(parallel.module.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours.cpu(), theirs)
