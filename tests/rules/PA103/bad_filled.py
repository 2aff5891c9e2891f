"""Numbers written into slices that names hold: the device can do so, too."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Linear(64, 10).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
for i, x in enumerate(torch.randn(12, 8, 64)):
    x = x.to(device)
    hole = slice(i, i + 5)
    mask = torch.ones(64)
    mask[hole] = 0.0
    mask = mask.to(device)  # expect: PA103
    loss = model(x * mask).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
