"""A mask on the host that indexes a device tensor is PA208's, in each step."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Linear(64, 10).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
data = [(torch.randn(32, 64), torch.randint(10, (32,))) for _ in range(12)]

hidden = torch.arange(64) % 4 == 0
for x, y in data:
    x = x.to(device)
    x[:, hidden] = 0.0  # expect: PA208
    loss = nn.functional.cross_entropy(model(x), y.to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
