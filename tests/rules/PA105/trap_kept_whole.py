"""The map that is sliced is kept as a whole, too."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Linear(64, 10).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
data = [(torch.randn(32, 64), torch.randint(10, (32,))) for _ in range(12)]

rows, maps = [], []


def keep(scores):
    host = scores.detach().cpu()
    maps.append(host)
    rows.append(host[:, -1, :])


for x, y in data:
    out = model(x.to(device))
    keep((out @ out.T).view(1, 32, 32).repeat(4, 1, 1))
    loss = nn.functional.cross_entropy(out, y.to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
