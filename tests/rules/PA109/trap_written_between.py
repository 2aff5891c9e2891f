"""The tensor is written in between; rows of it are no duplicates."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Linear(64, 10).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
data = [(torch.randn(32, 64), torch.randint(10, (32,))) for _ in range(12)]

seen = []
state = torch.zeros(2, 64, device=device)
for x, y in data:
    x = x.to(device)
    loss = nn.functional.cross_entropy(model(x), y.to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    state += x[:2]
    seen.append(state.cpu())
    state *= 0.5
    seen.append(state.cpu())
    seen.append(state[0].cpu())
    seen.append(state[1].cpu())
    seen.append(model.weight.detach().cpu())
