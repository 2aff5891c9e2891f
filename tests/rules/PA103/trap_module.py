"""Parameters are moved once by Module.to; a head is added before training."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Linear(64, 10).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
data = [(torch.randn(32, 64), torch.randint(10, (32,))) for _ in range(12)]

head = nn.Sequential(nn.Linear(10, 10), nn.ReLU(), nn.Linear(10, 10)).to(device)
scale = torch.ones(10).to(device)
for x, y in data:
    loss = nn.functional.cross_entropy(head(model(x.to(device))) * scale, y.to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
