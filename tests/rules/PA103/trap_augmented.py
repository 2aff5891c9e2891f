"""Noise is added to each batch on the host, then the batch is uploaded: it is data."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Linear(64, 10).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
data = [(torch.randn(32, 64), torch.randint(10, (32,))) for _ in range(12)]


def jitter(batch, amount=0.1):
    return batch + amount * torch.randn(batch.shape)


def pad(batch, width):
    return torch.cat([batch, torch.zeros(len(batch), width)], dim=1)


for x, y in data:
    noise = torch.randn(32, 64)
    x = x + 0.1 * noise
    a = (x + torch.rand(32, 64)).to(device)
    b = jitter(x).to(device)
    c = torch.lerp(x, torch.zeros(32, 64), 0.5).to(device)
    d = pad(x, 8).to(device)
    out = model(a + b + c) + d.sum() * 0
    loss = nn.functional.cross_entropy(out, y.to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
