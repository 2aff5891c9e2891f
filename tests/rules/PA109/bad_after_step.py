"""The loss read before the backward pass, and once more after the optimizer has stepped."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Linear(64, 10).to(device)
optimizer = torch.optim.Adam(model.parameters())
data = [(torch.randn(32, 64), torch.randint(10, (32,))) for _ in range(6)]
data = [(x.to(device), y.to(device)) for x, y in data]


def train():
    total = 0.0
    for turn, (x, y) in enumerate(data):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        total += loss.item()  # expect: PA201
        loss.backward()
        optimizer.step()
        print(f"{turn}: {loss.item():.4f}")  # expect: PA109
    return total


train()
