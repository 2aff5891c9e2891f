"""The twin of train.py: figures add up on the device, and rank 0 reads them once an epoch."""

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
        figures = torch.zeros(2, device=device)  # the sum of losses, correct answers
        for inputs, labels in loader:
            inputs = inputs.to(device, non_blocking=True)
            labels = labels.to(device, non_blocking=True)
            smooth = torch.full((len(labels), CLASSES), 0.01, device=device)
            targets = smooth.scatter(1, labels[:, None], 0.91)
            logits = model(inputs)
            loss = nn.functional.cross_entropy(logits, targets)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            figures += torch.stack([loss.detach(), (logits.argmax(1) == labels).sum()])
        if dist.get_rank() == 0:
            loss, correct = figures.tolist()
            loss, accuracy = loss / len(loader), correct / len(sampler)
            print(f"epoch {epoch}: loss {loss:.3f}, accuracy {accuracy:.3f}", flush=True)
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
