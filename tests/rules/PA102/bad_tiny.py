"""A class weight of 40 bytes, the same storage each time."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Linear(64, 10).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
data = [(torch.randn(32, 64), torch.randint(10, (32,))) for _ in range(12)]

weight = torch.rand(10)
for x, y in data:
    x, y = x.to(device), y.to(device)
    loss = nn.functional.cross_entropy(
        model(x),
        y,
        weight=weight.to(device),  # expect: PA102
    )
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
