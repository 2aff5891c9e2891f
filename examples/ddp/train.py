"""Data-parallel training on two ranks, each with a device of its own.

    torchrun --standalone --nproc-per-node 2 train.py

What goes wrong: every rank reads its loss in every step, though only rank 0 logs it; the mask that
smooths the labels is made on the host; rank 0 measures its accuracy in every step too, and while it
waits for its device the other rank waits for it in the next gradient exchange.

What the audit says: each line once, with the ranks it holds for.  The exchange of gradients is a
collective between devices, no copy, and is not flagged; nor are the batches.  What to change: add
the figures up on the device and read them once an epoch.
"""

import argparse
import os

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

CLASSES = 10


def start():
    """Join the others; the device of this rank."""
    if not torch.cuda.is_available():
        dist.init_process_group("gloo")
        return torch.device("cpu")
    device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    torch.cuda.set_device(device)
    dist.init_process_group("nccl", device_id=device)
    return device


def make_data():
    """Points around one center for each class."""
    generator = torch.Generator().manual_seed(0)
    centers = torch.randn(CLASSES, 64, generator=generator)
    labels = torch.randint(CLASSES, (512,), generator=generator)
    return TensorDataset(
        centers[labels] + torch.randn(512, 64, generator=generator).mul(0.5), labels
    )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=4)
    args = parser.parse_args()
    device = start()
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(64, 128), nn.BatchNorm1d(128), nn.ReLU(), nn.Linear(128, CLASSES))
    model = DistributedDataParallel(net.to(device))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    data = make_data()
    sampler = DistributedSampler(data)
    loader = DataLoader(data, 16, sampler=sampler, pin_memory=device.type == "cuda")
    for epoch in range(args.epochs):
        sampler.set_epoch(epoch)
        losses, correct = [], 0
        for inputs, labels in loader:
            inputs = inputs.to(device, non_blocking=True)
            labels = labels.to(device, non_blocking=True)
            smooth = torch.full((len(labels), CLASSES), 0.01).to(device)  # stray: PA103
            targets = smooth.scatter(1, labels[:, None], 0.91)
            logits = model(inputs)
            loss = nn.functional.cross_entropy(logits, targets)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())  # stray: PA201
            if dist.get_rank() == 0:
                correct += (logits.argmax(1) == labels).sum().item()  # stray: PA201 (rank 0)
        if dist.get_rank() == 0:
            loss = sum(losses) / len(losses)
            accuracy = correct / len(sampler)
            print(f"epoch {epoch}: loss {loss:.3f}, accuracy {accuracy:.3f}", flush=True)
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
