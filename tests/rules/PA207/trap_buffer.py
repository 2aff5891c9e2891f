"""One buffer is pinned once and used again; a table is pinned and uploaded before the loop."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Linear(64, 10).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

table = torch.randn(12, 32, 64)
weights = torch.rand(10).pin_memory().to(device, non_blocking=True)
buffer = torch.empty(32, 64).pin_memory()
uploaded = torch.cuda.Event() if torch.cuda.is_available() else None
y = torch.randint(10, (32,), device=device)
for i in range(12):
    if uploaded is not None:
        uploaded.wait()
    buffer.copy_(table[i])
    x = buffer.to(device, non_blocking=True)
    loss = nn.functional.cross_entropy(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
