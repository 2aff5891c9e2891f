"""A batch of three tensors goes to the device as a whole; the training loop reads two of them."""

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


for x, y, weights in batches(12):
    x = x.to(device)
    y = y.to(device)
    weights = weights.to(device)  # expect: PA104
    loss = F.cross_entropy(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
