"""Training by FSDP in both its forms, and a product of DTensors; rank 0 prints losses as JSON.

Arguments: an empty folder.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from typing import Any

import torch
import torch.distributed as dist
from torch import multiprocessing, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard
from torch.distributed.tensor import Replicate, Shard, distribute_tensor

import placeaudit


def make() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4))


def sharded_in_place() -> nn.Module:
    model = make().cuda()
    for layer in (model[0], model[2]):
        fully_shard(layer)
    return fully_shard(model)


def train(model: nn.Module, device: str) -> float:
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    randomness = torch.Generator().manual_seed(1)
    loss = torch.zeros(())
    for _ in range(3):
        x = torch.randn(8, 16, generator=randomness).to(device)
        y = torch.randint(4, (8,), generator=randomness).to(device)
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
    return loss.item()


def product() -> Any:
    mesh = init_device_mesh("cuda", (2,))
    rows = distribute_tensor(torch.arange(8.0, device="cuda").view(4, 2), mesh, [Shard(0)])
    whole = distribute_tensor(torch.ones(2, 3, device="cuda"), mesh, [Replicate()])
    return (rows @ whole).full_tensor().tolist()


def drawn() -> list[Any]:
    """Random numbers of distributed tensors: one row over all ranks, or the same on each."""
    mesh = init_device_mesh("cuda", (2,))
    torch.manual_seed(3)
    split = torch.distributed.tensor.rand(4, 2, device_mesh=mesh, placements=[Shard(0)])
    same = torch.distributed.tensor.randn(3, device_mesh=mesh, placements=[Replicate()])
    dropped = nn.functional.dropout(split, 0.5)
    own = torch.Generator("cuda").manual_seed(8)
    rows = distribute_tensor(torch.zeros(4, 2, device="cuda"), mesh, [Shard(0)])
    rows.uniform_(generator=own)
    return [t.full_tensor().tolist() for t in (split, same, dropped, rows)] + [
        same.to_local().tolist(),
        torch.rand(2, device="cuda").tolist(),
    ]


def materialised() -> tuple[list[float], float]:
    """A model made without memory, sharded, and initialised in place; and its loss."""
    with torch.device("meta"):
        model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4))
    for layer in (model[0], model[2]):
        fully_shard(layer)
    fully_shard(model)
    model.to_empty(device="cuda")
    torch.manual_seed(5)
    for layer in (model[0], model[2]):
        layer.reset_parameters()  # type: ignore[operator]
    weight: Any = model[0].weight
    first = weight.full_tensor()[:, 0].tolist()
    return first, train(model, "cuda")


def work(rank: int, folder: str) -> None:
    warnings.simplefilter("ignore")
    os.environ["LOCAL_RANK"] = str(rank)
    dist.init_process_group("nccl", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    init_device_mesh("cuda", (2,))  # takes the device of LOCAL_RANK where nothing has used one
    assert torch.cuda.current_device() == rank
    found = {
        "plain": train(make(), "cpu"),
        "fully_shard": train(sharded_in_place(), "cuda"),
        "FullyShardedDataParallel": train(FullyShardedDataParallel(make().cuda()), "cuda"),
        "product": product(),
    }
    everywhere: list[Any] = [None, None]
    dist.all_gather_object(everywhere, (drawn(), materialised()))
    found["drawn"], found["materialised"] = ([of[part] for of in everywhere] for part in (0, 1))
    if rank == 0:
        print(json.dumps(found))
    dist.destroy_process_group()


if __name__ == "__main__":
    with placeaudit.simulate("cuda:2"):
        multiprocessing.spawn(work, (sys.argv[1],), nprocs=2)
