"""A loop that runs until a value is small needs the value in each turn."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Linear(64, 10).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
data = [(torch.randn(32, 64), torch.randint(10, (32,))) for _ in range(12)]

for x, y in data:
    u = torch.ones(10, device=device)
    change = 1.0
    while change > 1e-2:
        new = nn.functional.normalize(model.weight @ (model.weight.T @ u), dim=0)
        change = (new - u).abs().sum().item()  # expect: PA201 info
        u = new.detach()
    loss = nn.functional.cross_entropy(model(x.to(device)), y.to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
