"""The twin of train.py: torch exchanges gradients between the devices of a node.

`DataParallelMultiGPU` needs a device for each rank, and a DASO optimizer that knows the model; on
one node nothing is left for its exchange between nodes, and the inner optimizer steps alone.
"""

import argparse
import socket

import torch
import torch.distributed as dist
from torch import nn

try:
    import torchvision  # noqa: F401
except RuntimeError:  # built for another torch; Heat imports it, and nothing here uses it
    for name in ("nms", "qnms"):
        torch.library.define(
            f"torchvision::{name}", "(Tensor boxes, Tensor scores, float iou_threshold) -> Tensor"
        )
import heat as ht

BATCH = 16


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(64, 512), nn.Linear(512, 10)

    def forward(self, x):
        return self.second(torch.relu(self.first(x)))


def join(comm):
    """Join torch's own process group, at a port that rank 0 finds free."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    port = comm.handle.bcast(port)
    dist.init_process_group(
        "nccl", init_method=f"tcp://127.0.0.1:{port}", rank=comm.rank, world_size=comm.size
    )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=4)
    args = parser.parse_args()
    comm = ht.MPI_WORLD
    device = torch.device("cuda", comm.rank % torch.cuda.device_count())
    torch.cuda.set_device(device)
    join(comm)

    generator = torch.Generator().manual_seed(0)
    centers = torch.randn(10, 64, generator=generator)
    labels = torch.randint(10, (512,), generator=generator)
    inputs = centers[labels] + torch.randn(512, 64, generator=generator)
    # This rank's share of the data, on its device.
    labels, inputs = labels[comm.rank :: comm.size].to(device), inputs[comm.rank :: comm.size]
    inputs = inputs.to(device)

    net = Net().to(device)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    torch.manual_seed(2147483646)  # as Heat's DataParallel does
    model = ht.nn.DataParallelMultiGPU(net, ht.optim.DASO(optimizer, args.epochs))
    for epoch in range(args.epochs):
        total = torch.zeros((), device=device)
        for x, y in zip(inputs.split(BATCH), labels.split(BATCH), strict=True):
            loss = nn.functional.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach()
        total = comm.handle.allreduce(total.item()) / comm.size / (len(inputs) // BATCH)
        if comm.rank == 0:
            print(f"epoch {epoch}: loss {total:.3f}", flush=True)
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
