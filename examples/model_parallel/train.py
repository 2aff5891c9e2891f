"""Model parallelism: the first half of a network on one device, the second on another.

What goes wrong: the activations must go from device to device, which needs one copy each way; here
they take the way through the host in the forward pass, which is two copies and a wait.

What the audit says: PA108 where the activations bounce; the needed device-to-device copies are not
flagged.  What to change: hand the tensor to the other device directly.
"""

import argparse

import torch
from torch import nn


class Halves(nn.Module):
    """Two layers, each on its own device."""

    def __init__(self, first, second):
        super().__init__()
        self.first, self.second = first, second
        self.linear1 = nn.Linear(64, 256).to(first)
        self.linear2 = nn.Linear(256, 10).to(second)
        self.norm = nn.LayerNorm(256).to(first)

    def forward(self, x):
        hidden = torch.relu(self.norm(self.linear1(x)))
        return self.linear2(hidden.cpu().to(self.second))  # stray: PA108


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=60)
    args = parser.parse_args()
    torch.manual_seed(0)
    count = torch.cuda.device_count()
    first, second = ("cuda:0", "cuda:1") if count > 1 else ("cpu", "cpu")
    model = Halves(first, second)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    inputs = torch.randn(args.steps, 32, 64, device=first)
    labels = torch.randint(10, (args.steps, 32), device=second)
    for x, y in zip(inputs, labels, strict=True):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
    print(f"loss {loss.item():.4f}")


if __name__ == "__main__":
    main()
