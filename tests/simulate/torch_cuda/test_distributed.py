"""Several ranks, each with a simulated device: collectives, and data-parallel training."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist

PROGRAMS = Path(__file__).parents[1] / "programs"

pytestmark = pytest.mark.skipif(
    not (dist.is_available() and dist.is_gloo_available()), reason="torch without gloo"
)


def run(program: str, folder: Path, *arguments: str) -> Any:
    """What a program of two ranks printed; a rank that fails fails the test."""
    folder.mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, PROGRAMS / program, *arguments[:1], str(folder), *arguments[1:]],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])  # some versions of gloo talk before


def cuda(*values: float) -> list[Any]:
    return ["cuda", *values]


#: What rank 0 gets, whatever the backend.
EVERYWHERE = {
    "all_reduce": cuda(3, 3, 3, 3),
    "all_reduce_average": cuda(1.5, 1.5, 1.5, 1.5),
    "all_reduce_asynchronous": cuda(6, 6, 6, 6),
    "all_gather": [cuda(1, 1, 1, 1), cuda(2, 2, 2, 2)],
    "all_gather_into_tensor": cuda(1, 1, 1, 1, 2, 2, 2, 2),
    "reduce_scatter": cuda(3, 3),
    "reduce_scatter_tensor": cuda(3, 3),
    "broadcast": cuda(2, 2, 2, 2),
    "reduce": cuda(3, 3, 3, 3),
    "gather": [cuda(1, 1, 1, 1), cuda(2, 2, 2, 2)],
    "scatter": cuda(5, 5, 5, 5),
    "all_to_all": [cuda(1, 1), cuda(2, 2)],
    "all_to_all_single": cuda(1, 1, 2, 2),
    "objects": [{"rank": 0}, {"rank": 1}, "from 1"],
    "coalesced": [cuda(3, 3, 3, 3), cuda(6, 6, 6, 6)],
    "coalesced_gathering": [cuda(1, 1, 1, 1, 2, 2, 2, 2)] * 2,
    "functional": cuda(3, 3, 3, 3),
    "barrier": None,
    "mesh": [2],
}
NCCL = {
    "point_to_point": cuda(2, 2, 2, 2),
    "batched": cuda(2, 2, 2, 2),
    "coalesced_by_device": [cuda(3, 3, 3, 3), cuda(6, 6, 6, 6)],
}
_NO_SENDING = (
    "gloo cannot send CUDA tensors: it passes their addresses to the network as if they were the "
    "host's. Use the nccl backend, or host tensors."
)
BY_BACKEND: dict[str, dict[str, Any]] = {
    "nccl": {**NCCL, "host_tensor": "No backend type associated with device type cpu"},
    "cpu:gloo,cuda:nccl": {**NCCL, "host_tensor": ["cpu", 2]},
    "gloo": {
        "host_tensor": ["cpu", 2],
        "point_to_point": _NO_SENDING,
        "batched": _NO_SENDING,
        "coalesced_by_device": "Backend gloo does not implement startCoalescing",
    },
}


@pytest.mark.parametrize("backend", BY_BACKEND)
def test_collectives_work_on_the_tensors_of_devices(backend: str, tmp_path: Path) -> None:
    found = run("collectives.py", tmp_path, backend)
    expected = {
        **EVERYWHERE,
        **BY_BACKEND[backend],
        "backend": backend,
        "new_group": [cuda(3, 3, 3, 3), backend],
    }
    assert found == expected


#: Ways that compute what they compute on the host, bit by bit.
WAYS = ("plain", "no sync", "views", "unused parameters", "hook", "zero")


def test_ranks_end_identical_and_equal_to_the_host_run(tmp_path: Path) -> None:
    on_host = run("data_parallel.py", tmp_path / "host", "gloo", "cpu", *WAYS)
    simulated = run("data_parallel.py", tmp_path / "nccl", "nccl", "simulate", *WAYS)
    assert on_host[0] == on_host[1]
    assert simulated == on_host


def test_gloo_and_synchronised_batch_norm(tmp_path: Path) -> None:
    ways = ("plain", "sync batch norm")
    by_gloo = run("data_parallel.py", tmp_path / "gloo", "gloo", "simulate", *ways)
    by_nccl = run("data_parallel.py", tmp_path / "nccl", "nccl", "simulate", *ways)
    assert by_gloo[0] == by_gloo[1]
    assert by_nccl == by_gloo
    assert by_nccl[0]["plain"] != by_nccl[0]["sync batch norm"]


@pytest.mark.parametrize("backend", ["gloo", "nccl"])
def test_a_group_ends_while_its_threads_run_python(backend: str, tmp_path: Path) -> None:
    assert run("group_end.py", tmp_path, backend) == "ended"


def test_two_ranks_on_one_device_are_refused(tmp_path: Path) -> None:
    assert run("same_device.py", tmp_path) == (
        "Duplicate GPU detected : rank 0 and rank 1 both on CUDA device 1000"
    )


def test_sharded_training_loses_what_one_process_does(tmp_path: Path) -> None:
    found = run("sharded.py", tmp_path)
    assert found["fully_shard"] == pytest.approx(found["plain"], rel=1e-6)
    assert found["FullyShardedDataParallel"] == pytest.approx(found["plain"], rel=1e-6)
    assert found["product"] == [[1, 1, 1], [5, 5, 5], [9, 9, 9], [13, 13, 13]]
    # Random operators of distributed tensors keep the ranks in step.
    split, same, dropped, own, local, after = found["drawn"][0]
    assert found["drawn"][1] == [split, same, dropped, own, local, after]
    assert local == same
    for rows in (split, own):
        numbers = [value for row in rows for value in row]
        assert len(set(numbers)) == len(numbers)
        assert all(0 <= value < 1 for value in numbers)
    assert {round(y / x, 6) for xs, ys in zip(split, dropped, strict=True)
            for x, y in zip(xs, ys, strict=True)} == {0, 2}  # fmt: skip
    (weights, loss), other = found["materialised"]
    assert other == [weights, loss]
    assert len(set(weights)) == 32
    assert max(map(abs, weights)) <= 0.25  # 1 / sqrt(16)
    assert 0 < loss < 3


# --- the operators of SyncBatchNorm, against the batch norm of one process -----------------------


@pytest.mark.usefixtures("cuda")
def test_synchronised_batch_norm_computes_what_one_process_would() -> None:
    torch.manual_seed(0)
    norm = torch.nn.BatchNorm2d(5)
    x = torch.randn(4, 5, 3, 3, requires_grad=True)
    slope = torch.randn(4, 5, 3, 3)
    expected = norm(x)
    (expected * slope).sum().backward()
    on_device, weight = x.detach().cuda(), norm.weight.detach().cuda()
    halves = [torch.batch_norm_stats(half, norm.eps) for half in on_device.split(2)]
    running_mean, running_var = torch.zeros(5, device="cuda"), torch.ones(5, device="cuda")
    mean, invstd = torch.batch_norm_gather_stats_with_counts(
        on_device,
        torch.stack([each for each, _ in halves]),
        torch.stack([each for _, each in halves]),
        running_mean,
        running_var,
        0.1,
        norm.eps,
        torch.tensor([18.0, 18.0], device="cuda"),
    )
    close = torch.testing.assert_close
    close(running_mean.cpu(), norm.running_mean)
    close(running_var.cpu(), norm.running_var)
    result = torch.batch_norm_elemt(
        on_device, weight, norm.bias.detach().cuda(), mean, invstd, norm.eps
    )
    close(result.cpu(), expected.detach())
    sums = torch.batch_norm_backward_reduce(
        slope.cuda(), on_device, mean, invstd, weight, True, True, True
    )
    counts = torch.tensor([18, 18], dtype=torch.int32, device="cuda")
    gradient = torch.batch_norm_backward_elemt(
        slope.cuda(), on_device, mean, invstd, weight, *sums[:2], counts
    )
    close(gradient.cpu(), x.grad)
    close(sums[2].cpu(), norm.weight.grad)
    close(sums[3].cpu(), norm.bias.grad)
