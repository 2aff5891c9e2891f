"""Training from an HDF5 file through a generator that reads, converts and uploads in series.

What goes wrong: the device waits while a batch is read from the file, and again while it is
uploaded: the images are bytes in the file, become floats on the host, four times their size, and
cross from pageable memory, which holds the host up.

What the audit says: PA107 where the widened images are uploaded, with the bytes that crossing as
bytes saves; PA202 where the masks are, as they come from pageable memory.  How long the device
idles while the file is read it does not say.  What to change: let workers of a DataLoader read
ahead and its thread pin what they read; upload bytes, convert on the device.
"""

import argparse
import tempfile
from pathlib import Path

import h5py
import numpy as np
import torch
from torch import nn

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


def batches(path, device):
    """The file's batches, on the device."""
    with h5py.File(path) as file:
        for start in range(0, len(file["images"]), BATCH):
            images = torch.from_numpy(file["images"][start : start + BATCH])
            masks = torch.from_numpy(file["masks"][start : start + BATCH])
            images = images.float().to(device)  # stray: PA107
            yield images / 255, masks.to(device)  # stray: PA202


def train(path, epochs):
    torch.manual_seed(0)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = nn.Sequential(
        nn.Conv2d(1, 8, 5, padding=2), nn.ReLU(), nn.Conv2d(8, 1, 5, padding=2)
    ).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for epoch in range(epochs):
        total = torch.zeros((), device=device)
        count = 0
        for images, masks in batches(path, device):
            loss = nn.functional.binary_cross_entropy_with_logits(model(images), masks)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach()
            count += 1
        print(f"epoch {epoch}: loss {total.item() / count:.4f}")


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
