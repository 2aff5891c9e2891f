"""Noise of a deviation that is a tensor: the operation checks it, nobody reads a value."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Linear(16, 4).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
scale = torch.full((4,), 0.1, device=device)
batches = [torch.randn(8, 16).to(device) for _ in range(6)]

for x in batches:
    out = model(x)
    out = out + torch.normal(0.0, scale)  # expect: PA201 info
    loss = out.square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
