"""Anchor, positive and negative cross; the negative's margin weights are never read."""
from dataclasses import dataclass

import torch
from torch import nn


@dataclass
class Triplet:
    anchor: torch.Tensor
    positive: torch.Tensor
    negative: torch.Tensor
    margin: torch.Tensor

    def to(self, device):
        anchor = self.anchor.to(device)
        positive = self.positive.to(device)
        negative = self.negative.to(device)
        margin = self.margin.to(device)  # expect: PA104
        return Triplet(anchor, positive, negative, margin)


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(12, 24), nn.ReLU(), nn.Linear(24, 6))

    def forward(self, triplet):
        a, p, n = map(self.net, (triplet.anchor, triplet.positive, triplet.negative))
        return nn.functional.triplet_margin_loss(a, p, n)


def main():
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(164)
    model = Model().to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    data = [Triplet(*torch.randn(3, 6, 12), torch.rand(6)) for _ in range(12)]
    for triplet in data:
        loss = model(triplet.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"{loss.item():.4f}")


main()
