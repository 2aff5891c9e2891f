"""Activations travel from device to device."""

# simulate: cuda:2
import torch
from torch import nn

torch.manual_seed(0)
first = nn.Linear(64, 64).to("cuda:0")
second = nn.Linear(64, 10).to("cuda:1")
optimizer = torch.optim.SGD([*first.parameters(), *second.parameters()], lr=0.01)
data = [(torch.randn(32, 64), torch.randint(10, (32,))) for _ in range(12)]

for x, y in data:
    hidden = first(x.to("cuda:0"))
    out = second(hidden.to("cuda:1", non_blocking=True))
    loss = nn.functional.cross_entropy(out, y.to("cuda:1"))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
