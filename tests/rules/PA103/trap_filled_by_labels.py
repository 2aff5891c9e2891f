"""Numbers written where the host's data say: the labels are what crosses."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Linear(64, 10).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
for x, y in zip(torch.randn(12, 8, 64), torch.randint(80, (12, 8))):
    goal = torch.zeros(80)
    goal[y] = 1.0
    loss = (model(x.to(device)).flatten() - goal.to(device)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
