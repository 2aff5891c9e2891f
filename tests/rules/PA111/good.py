"""The device chooses for itself."""

import torch
from torch import nn
from torch.nn import functional as F

device = "cuda"
torch.manual_seed(0)
model = nn.Linear(64, 10).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
x = torch.randn(256, 64, device=device)
y = torch.randint(0, 10, (256,), device=device)
for _ in range(12):
    losses = F.cross_entropy(model(x), y, reduction="none")
    weights = losses.detach().softmax(0) * 2
    loss = (losses * weights).sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
