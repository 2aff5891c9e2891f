"""Two ranks train by ``DistributedDataParallel`` in several ways; each prints its weights as JSON.

Arguments: backend, an empty folder, "simulate" or "cpu", the ways.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sys
import warnings
from typing import Any

import torch
import torch.distributed as dist
from torch import multiprocessing, nn
from torch.distributed.algorithms.ddp_comm_hooks import default_hooks
from torch.distributed.optim import ZeroRedundancyOptimizer
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

import placeaudit


def loader(device: torch.device) -> DataLoader[Any]:
    randomness = torch.Generator().manual_seed(7)
    x = torch.randn(32, 8, generator=randomness)
    y = torch.randint(3, (32,), generator=randomness)
    data = TensorDataset(x, y)
    return DataLoader(
        data, 8, sampler=DistributedSampler(data), pin_memory=device.type == "cuda"
    )


def train(way: str, device: torch.device) -> nn.Module:
    torch.manual_seed(dist.get_rank())  # rank 0's weights count
    model: nn.Module = nn.Sequential(
        nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 3)
    ).to(device)
    options: dict[str, Any] = {"device_ids": [device.index]} if device.type == "cuda" else {}
    if way == "sync batch norm":
        model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
    if way == "unused parameters":
        options["find_unused_parameters"] = True
    if way == "views":
        options["gradient_as_bucket_view"] = True
    parallel = DistributedDataParallel(model, **options)
    if way == "hook":
        parallel.register_comm_hook(None, default_hooks.allreduce_hook)
    if way == "zero":
        optimizer: Any = ZeroRedundancyOptimizer(parallel.parameters(), torch.optim.Adam, lr=0.01)
    else:
        optimizer = torch.optim.Adam(parallel.parameters(), lr=0.01)
    for x, y in loader(device):
        on_device = x.to(device, non_blocking=True), y.to(device, non_blocking=True)
        optimizer.zero_grad()
        if way == "no sync":
            with parallel.no_sync():
                nn.functional.cross_entropy(parallel(on_device[0]), on_device[1]).backward()
        nn.functional.cross_entropy(parallel(on_device[0]), on_device[1]).backward()
        optimizer.step()
    return model


def digest(model: nn.Module) -> str:
    weights = b"".join(p.detach().cpu().numpy().tobytes() for p in model.parameters())
    return hashlib.sha256(weights).hexdigest()


def work(rank: int, backend: str, folder: str, device_type: str, ways: list[str]) -> None:
    warnings.simplefilter("ignore")
    device = torch.device("cpu")
    if device_type == "cuda":
        device = torch.device("cuda", rank)
        torch.cuda.set_device(device)
    dist.init_process_group(backend, init_method=f"file://{folder}/store", rank=rank, world_size=2)
    found = [None, None]
    mine = {way: digest(train(way, device)) for way in ways}
    dist.all_gather_object(found, mine)
    if rank == 0:
        print(json.dumps(found))
    dist.destroy_process_group()


if __name__ == "__main__":
    backend, folder, how, *ways = sys.argv[1:]
    device_type = "cuda" if how == "simulate" else "cpu"
    simulated: Any = placeaudit.simulate("cuda:2") if how == "simulate" else None
    with simulated or contextlib.nullcontext():
        multiprocessing.spawn(work, (backend, folder, device_type, ways), nprocs=2)
