"""Every collective between two ranks on simulated devices; rank 0 prints what it got as JSON.

Arguments: backend, an empty folder.
"""

from __future__ import annotations

import json
import sys
import warnings
from typing import Any

import torch
import torch.distributed as dist
from torch import multiprocessing
from torch.distributed import _functional_collectives as functional
from torch.distributed.device_mesh import init_device_mesh

import placeaudit


class Rank:
    """One of the two, with its tensor: rank 0 holds ones, rank 1 twos."""

    def __init__(self, rank: int) -> None:
        self.rank = rank
        self.x = torch.full((4,), rank + 1.0, device="cuda")

    def empty(self, size: int = 4) -> torch.Tensor:
        return torch.zeros(size, device="cuda")

    def reduced(self, op: Any) -> torch.Tensor:
        y = self.x.clone()
        dist.all_reduce(y, op=op)
        return y

    def all_reduce(self) -> torch.Tensor:
        return self.reduced(dist.ReduceOp.SUM)

    def all_reduce_average(self) -> torch.Tensor:
        return self.reduced(dist.ReduceOp.AVG)

    def all_reduce_asynchronous(self) -> torch.Tensor:
        y = self.x.clone()
        work = dist.all_reduce(y, async_op=True)
        doubled = work.get_future().then(lambda future: future.value()[0] * 2)
        return doubled.wait()

    def all_gather(self) -> list[torch.Tensor]:
        found = [self.empty(), self.empty()]
        dist.all_gather(found, self.x)
        return found

    def all_gather_into_tensor(self) -> torch.Tensor:
        found = self.empty(8)
        dist.all_gather_into_tensor(found, self.x)
        return found

    def reduce_scatter(self) -> torch.Tensor:
        found = self.empty(2)
        dist.reduce_scatter(found, list(self.x.clone().split(2)))
        return found

    def reduce_scatter_tensor(self) -> torch.Tensor:
        found = self.empty(2)
        dist.reduce_scatter_tensor(found, self.x.clone())
        return found

    def broadcast(self) -> torch.Tensor:
        y = self.x.clone()
        dist.broadcast(y, 1)
        return y

    def reduce(self) -> torch.Tensor:
        y = self.x.clone()
        dist.reduce(y, 0)
        return y

    def gather(self) -> list[torch.Tensor] | None:
        found = [self.empty(), self.empty()] if self.rank == 0 else None
        dist.gather(self.x, found, 0)
        return found

    def scatter(self) -> torch.Tensor:
        found = self.empty()
        dist.scatter(found, [self.x + 4, self.x] if self.rank == 0 else None, 0)
        return found

    def all_to_all(self) -> list[torch.Tensor]:
        found = [self.empty(2), self.empty(2)]
        dist.all_to_all(found, list(self.x.clone().split(2)))
        return found

    def all_to_all_single(self) -> torch.Tensor:
        found = self.empty()
        dist.all_to_all_single(found, self.x)
        return found

    def objects(self) -> list[Any]:
        found: list[Any] = [None, None]
        dist.all_gather_object(found, {"rank": self.rank})
        from_1 = ["from 1" if self.rank else None]
        dist.broadcast_object_list(from_1, 1)
        return [*found, *from_1]

    def coalesced(self) -> list[torch.Tensor]:
        ys = [self.x.clone(), self.x * 2]
        with dist._coalescing_manager():
            for y in ys:
                dist.all_reduce(y)
        return ys

    def coalesced_gathering(self) -> list[torch.Tensor]:
        ys = [self.empty(8), self.empty(8)]
        with dist._coalescing_manager():
            for y in ys:
                dist.all_gather_into_tensor(y, self.x)
        return ys

    def functional(self) -> torch.Tensor:
        return functional.all_reduce(self.x, "sum", dist.group.WORLD) + 0

    def barrier(self) -> None:
        dist.barrier()
        dist.barrier(device_ids=[self.rank])

    def new_group(self) -> list[Any]:
        group = dist.new_group([0, 1])
        y = self.x.clone()
        dist.all_reduce(y, group=group)
        return [y, dist.get_backend(group)]

    def mesh(self) -> list[int]:
        return list(init_device_mesh("cuda", (2,)).shape)

    def host_tensor(self) -> torch.Tensor:
        y = torch.ones(1)
        dist.all_reduce(y)
        return y

    def point_to_point(self) -> torch.Tensor:
        found = self.empty()
        if self.rank == 0:
            dist.send(self.x, 1)
            dist.recv(found, 1)
        else:
            dist.recv(found, 0)
            dist.send(self.x, 0)
        return found

    def batched(self) -> torch.Tensor:
        found, other = self.empty(), 1 - self.rank
        both = [dist.P2POp(dist.isend, self.x, other), dist.P2POp(dist.irecv, found, other)]
        for work in dist.batch_isend_irecv(both):
            work.wait()
        return found

    def coalesced_by_device(self) -> list[torch.Tensor]:
        ys = [self.x.clone(), self.x * 2]
        with dist._coalescing_manager(device=self.x.device):
            for y in ys:
                dist.all_reduce(y)
        return ys


def plain(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return [value.device.type, *value.tolist()]
    return [plain(item) for item in value] if isinstance(value, list) else value


def work(rank: int, backend: str, folder: str) -> None:
    warnings.simplefilter("ignore")
    torch.cuda.set_device(rank)
    device = torch.device("cuda", rank)
    eager = {"device_id": device} if backend == "nccl" else {}
    where = f"file://{folder}/store"
    dist.init_process_group(backend, init_method=where, rank=rank, world_size=2, **eager)
    mine = Rank(rank)
    found: dict[str, Any] = {"backend": dist.get_backend()}
    for name, method in vars(Rank).items():
        if name.startswith("_") or name in {"empty", "reduced"}:
            continue
        try:
            found[name] = plain(method(mine))
        except RuntimeError as error:
            found[name] = f"{error}"
    dist.barrier()
    if rank == 0:
        print(json.dumps(found))
    dist.destroy_process_group()


if __name__ == "__main__":
    with placeaudit.simulate("cuda:2"):
        multiprocessing.spawn(work, (sys.argv[1], sys.argv[2]), nprocs=2)
