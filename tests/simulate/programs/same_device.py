"""Two ranks that forgot to choose a device each; prints what NCCL says to rank 0."""

from __future__ import annotations

import sys

import torch
import torch.distributed as dist
from torch import multiprocessing

import placeaudit


def work(rank: int, folder: str) -> None:
    dist.init_process_group("nccl", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    try:
        dist.all_reduce(torch.ones(1, device="cuda"))
    except dist.DistBackendError as error:
        if rank == 0:
            print(f'"{str(error).splitlines()[-1]}"')
    dist.destroy_process_group()


if __name__ == "__main__":
    with placeaudit.simulate("cuda:2"):
        multiprocessing.spawn(work, (sys.argv[1],), nprocs=2)
