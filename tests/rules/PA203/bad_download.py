"""Metrics come down into a pinned buffer and are read a step later, yet each copy waits."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
model = nn.Linear(64, 10).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

seen = torch.zeros(2)
landing = torch.zeros(32, 10, pin_memory=torch.cuda.is_available())
for x in torch.randn(12, 32, 64, device=device):
    seen += landing.sum()
    out = model(x)
    landing.copy_(out.detach())  # expect: PA203
    loss = out.square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
