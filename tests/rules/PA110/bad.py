"""The same batches are uploaded in each epoch."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Linear(64, 10).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
batches = [(torch.randn(32, 64), torch.randint(10, (32,))) for _ in range(6)]

for epoch in range(4):
    for x, y in batches:
        x = x.to(device)  # expect: PA110 info
        y = y.to(device)
        loss = nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
