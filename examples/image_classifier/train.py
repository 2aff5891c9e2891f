"""A small image classifier fed by a DataLoader, with the copies and waits that creep into one.

What goes wrong: pageable uploads from a DataLoader, brightness made on the host, `loss.item()` in
every step, predictions that go to the host and back.  What the audit says: each planted line with
the rule that finds it.  What to change: see `train_fixed.py`, which computes the same without them.
"""

import argparse
import math

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset

CLASSES = 4
SIZE = 32


class Stripes(Dataset):
    """Noisy stripes; the class is their direction."""

    def __init__(self, length):
        self.length = length
        ys, xs = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
        angles = [math.pi * k / CLASSES for k in range(CLASSES)]
        self.patterns = torch.stack(
            [torch.sin(0.7 * (xs * math.cos(a) + ys * math.sin(a))) for a in angles]
        )

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        label = index % CLASSES
        generator = torch.Generator().manual_seed(index)
        image = self.patterns[label] + 0.8 * torch.randn(3, SIZE, SIZE, generator=generator)
        return image, label


class Net(nn.Module):
    """Two convolutions with batch normalisation and a linear head."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.norm1 = nn.BatchNorm2d(8)
        self.conv2 = nn.Conv2d(8, 16, 3, stride=2, padding=1)
        self.norm2 = nn.BatchNorm2d(16)
        self.head = nn.Linear(16, CLASSES)

    def forward(self, x):
        x = F.relu(self.norm1(self.conv1(x)))
        x = F.relu(self.norm2(self.conv2(x)))
        return self.head(x.mean(dim=(2, 3)))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--images", type=int, default=1024)
    args = parser.parse_args()

    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    loader = DataLoader(Stripes(args.images), batch_size=64, shuffle=True, num_workers=2)
    model = Net().to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

    for epoch in range(args.epochs):
        total_loss = 0.0
        correct = torch.zeros((), dtype=torch.long, device=device)
        for images, labels in loader:
            images = images.to(device)  # stray: PA202
            labels = labels.to(device)
            brightness = torch.rand(len(images), 1, 1, 1).to(device)  # stray: PA103
            logits = model(images * (0.8 + 0.4 * brightness))
            loss = F.cross_entropy(logits, labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

            total_loss += loss.item()  # stray: PA201
            predicted = logits.argmax(dim=1).cpu()
            correct += (predicted.to(device) == labels).sum()  # stray: PA101
        accuracy = correct.item() / args.images
        print(f"epoch {epoch}: loss {total_loss / len(loader):.4f}, accuracy {accuracy:.3f}")


if __name__ == "__main__":
    main()
