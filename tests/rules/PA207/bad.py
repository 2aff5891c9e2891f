"""Each batch is pinned by the loop that uploads it."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Linear(64, 10).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)


def batch():
    x = torch.randn(32, 64) + 1
    y = torch.randint(10, (32,)) % 10
    x = x.pin_memory()  # expect: PA207
    x = x.to(device, non_blocking=True)
    y = y.pin_memory().to(device, non_blocking=True)  # expect: PA207
    return x, y


for _ in range(12):
    x, y = batch()
    loss = nn.functional.cross_entropy(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
