"""The twin of train.py: workers read ahead, memory is pinned, bytes cross and are widened there."""

import argparse
import tempfile
from pathlib import Path

import h5py
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

SIZE, BATCH = 64, 16


def write(path, number=256):
    """Images with a bright disc each, and where it is."""
    generator = np.random.default_rng(0)
    images = generator.integers(0, 128, (number, 1, SIZE, SIZE), dtype=np.uint8)
    y, x = np.mgrid[:SIZE, :SIZE]
    centers = generator.integers(16, SIZE - 16, (number, 2, 1, 1))
    masks = ((y - centers[:, 0]) ** 2 + (x - centers[:, 1]) ** 2 < 100)[:, None]
    images[masks] += 100
    with h5py.File(path, "w") as file:
        file.create_dataset("images", data=images, chunks=(BATCH, 1, SIZE, SIZE))
        file.create_dataset("masks", data=masks.astype(np.float32), chunks=(BATCH, 1, SIZE, SIZE))


class Batches(Dataset):
    """The file's batches; each worker opens the file for itself."""

    def __init__(self, path):
        self.path, self.file = path, None
        with h5py.File(path) as file:
            self.count = len(file["images"]) // BATCH

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        self.file = self.file or h5py.File(self.path)
        rows = slice(index * BATCH, (index + 1) * BATCH)
        images = torch.from_numpy(self.file["images"][rows])
        return images, torch.from_numpy(self.file["masks"][rows])


def train(path, epochs):
    torch.manual_seed(0)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = nn.Sequential(
        nn.Conv2d(1, 8, 5, padding=2), nn.ReLU(), nn.Conv2d(8, 1, 5, padding=2)
    ).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    loader = DataLoader(
        Batches(path),
        batch_size=None,
        num_workers=2,
        persistent_workers=True,
        pin_memory=device.type == "cuda",
    )
    for epoch in range(epochs):
        total = torch.zeros((), device=device)
        for images, masks in loader:
            images = images.to(device, non_blocking=True).float() / 255
            masks = masks.to(device, non_blocking=True)
            loss = nn.functional.binary_cross_entropy_with_logits(model(images), masks)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach()
        print(f"epoch {epoch}: loss {total.item() / len(loader):.4f}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=4)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "discs.h5"
        write(path)
        train(path, args.epochs)


if __name__ == "__main__":
    main()
