"""A table that only the host holds is looked up by what came down: no plain detour."""

import torch
from torch import nn

device = "cuda"
torch.manual_seed(0)
table = torch.randn(1000, 16)
model = nn.Linear(16, 1000).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
for _ in range(12):
    x = torch.randn(256, 16, device=device)
    scores = model(x)
    picked = scores.detach().argmax(1).cpu()
    rows = table[picked]
    rows = rows.to(device)
    loss = (scores.mean(1, keepdim=True) - rows).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
