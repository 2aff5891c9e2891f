"""Only what the loop reads goes to the device."""

import torch
from torch import nn
from torch.nn import functional as F

device = torch.device("cuda")
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(48, 32), nn.ReLU(), nn.Linear(32, 6)).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)


def batches(count):
    generator = torch.Generator().manual_seed(1)
    for _ in range(count):
        x = torch.randn(32, 48, generator=generator)
        y = torch.randint(0, 6, (32,), generator=generator)
        weights = torch.rand(32, 48, generator=generator)
        yield x, y, weights


for x, y, _ in batches(12):
    x = x.to(device)
    y = y.to(device)
    loss = F.cross_entropy(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
