"""Micro-batches share a storage; a few small ones are equal by chance."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Linear(64, 10).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
data = [(torch.randn(32, 64), torch.randint(10, (32,))) for _ in range(12)]

for x, y in data:
    y = y % 2
    optimizer.zero_grad()
    for xs, ys in zip(x.chunk(16), y.chunk(16)):
        loss = nn.functional.cross_entropy(model(xs.to(device)), ys.to(device)) / 16
        loss.backward()
    optimizer.step()
