"""Made before the loop, sliced, shuffled, collated or filled from data: data."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Linear(64, 10).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
data = [(torch.randn(32, 64), torch.randint(10, (32,))) for _ in range(12)]

import numpy as np

table = torch.randn(12 * 32, 64)
order = torch.randperm(len(table))
for i, (_, y) in enumerate(data):
    x = table[order[i * 32 : (i + 1) * 32]].to(device)
    padded = torch.zeros(32, 16)
    for row in range(32):
        padded[row, : row % 16] = table[row, : row % 16] + i
    padded = padded.to(device)
    array = torch.from_numpy(np.full((32, 16), float(i), dtype=np.float32)).to(device)
    out = model(x) + (padded + array).sum() * 0
    loss = nn.functional.cross_entropy(out, y.to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
