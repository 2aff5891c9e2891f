"""Data-parallel training by Heat, which exchanges gradients over MPI.

    mpirun -np 2 placeaudit trace --own heat train.py

What goes wrong: the hook that Heat hangs on each parameter sums its gradient over all ranks by MPI.
An MPI that knows nothing of devices needs it on the host: each gradient is downloaded, summed and
uploaded again, one by one, in every step.  And every rank reads its loss in every step.

What the audit says: PA201 at the reading, of both ranks; Heat's own lines, as `--own heat` makes
them count: PA202 where large gradients go back to the device from pageable memory, and PA111 (info:
what MPI does between the two copies the device cannot) for all of them.  What to change: on one
node `DataParallelMultiGPU` leaves the exchange to torch, from device to device; between nodes, give
Heat an MPI that takes device memory.
"""

import argparse

import torch
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


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=4)
    args = parser.parse_args()
    comm = ht.MPI_WORLD
    count = torch.cuda.device_count()
    device = torch.device("cuda", comm.rank % count) if count else torch.device("cpu")

    generator = torch.Generator().manual_seed(0)
    centers = torch.randn(10, 64, generator=generator)
    labels = torch.randint(10, (512,), generator=generator)
    inputs = centers[labels] + torch.randn(512, 64, generator=generator)
    # This rank's share of the data, on its device.
    labels, inputs = labels[comm.rank :: comm.size].to(device), inputs[comm.rank :: comm.size]
    inputs = inputs.to(device)

    net = Net().to(device)
    optimizer = ht.optim.DataParallelOptimizer(torch.optim.SGD(net.parameters(), lr=0.1), True)
    model = ht.nn.DataParallel(net, comm, optimizer, blocking_parameter_updates=True)
    for epoch in range(args.epochs):
        total = 0.0
        for x, y in zip(inputs.split(BATCH), labels.split(BATCH), strict=True):
            loss = nn.functional.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()  # stray: PA201 (ranks 0 1)
        total = comm.handle.allreduce(total) / comm.size / (len(inputs) // BATCH)
        if comm.rank == 0:
            print(f"epoch {epoch}: loss {total:.3f}")


if __name__ == "__main__":
    main()
