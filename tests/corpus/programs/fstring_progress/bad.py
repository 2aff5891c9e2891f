"""A progress line formats the loss and the accuracy in every step."""
import sys

import torch
from torch import nn


class ProgressBar:
    def __init__(self, total, stream):
        self.total, self.stream = total, stream

    def show(self, i, text):
        print(f"\r[{i + 1}/{self.total}] {text}", end="", file=self.stream)


def main():
    torch.manual_seed(72)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = nn.Sequential(nn.Linear(9, 9), nn.ReLU(), nn.Linear(9, 4)).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    data = [(torch.randn(8, 9), torch.randint(4, (8,))) for _ in range(12)]
    bar = ProgressBar(len(data), sys.stderr)
    for i, (x, y) in enumerate(data):
        x, y = x.to(device), y.to(device)
        out = model(x)
        loss = nn.functional.cross_entropy(out, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        text = f"loss {loss:.3f}"  # expect: PA201
        bar.show(i, text)
    print(f"{loss.item():.4f}")


main()
