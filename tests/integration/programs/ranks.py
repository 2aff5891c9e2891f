"""Two ranks of data-parallel training.  With "stray", each also reads its loss in every step."""

from __future__ import annotations

import os
import sys

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset


def main() -> None:
    is_stray = "stray" in sys.argv
    device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    torch.cuda.set_device(device)
    dist.init_process_group("nccl", device_id=device)
    torch.manual_seed(0)
    model = DistributedDataParallel(
        nn.Sequential(nn.Linear(64, 128), nn.BatchNorm1d(128), nn.ReLU(), nn.Linear(128, 10)).to(
            device
        ),
        device_ids=[device.index],
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    data = TensorDataset(torch.randn(256, 64), torch.randint(10, (256,)))
    sampler: DistributedSampler[object] = DistributedSampler(data)
    loader = DataLoader(data, 16, sampler=sampler, pin_memory=True)
    total = torch.zeros((), device=device)
    for epoch in range(2):
        sampler.set_epoch(epoch)
        total.zero_()
        for x, y in loader:
            inputs = x.to(device, non_blocking=True)
            labels = y.to(device, non_blocking=True)
            optimizer.zero_grad(set_to_none=True)
            loss = nn.functional.cross_entropy(model(inputs), labels)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            total += loss.detach()
            if is_stray:
                print("", end=f"{loss.item():.0f}"[:0])
        dist.all_reduce(total, op=dist.ReduceOp.AVG)
    if dist.get_rank() == 0:
        print(f"loss {total.item() / len(loader):.3f}")
        torch.save(model.module.state_dict(), os.devnull)
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
