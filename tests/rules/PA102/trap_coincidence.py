"""Padding masks that happen to be all ones, flags that happen to be equal."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Linear(64, 10).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
data = [(torch.randn(32, 64), torch.randint(10, (32,))) for _ in range(12)]

pads = [torch.ones(32, 64) * (1.0 if i % 4 else 1.0) for i in range(12)]
flags = [torch.tensor(i > 20) for i in range(12)]
for (x, y), pad, flag in zip(data, pads, flags):
    x = x.to(device) * pad.to(device)
    logits = model(x) * flag.to(device).logical_not()
    loss = nn.functional.cross_entropy(logits, y.to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
