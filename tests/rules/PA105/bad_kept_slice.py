"""A whole map comes down for its last row, or for a NumPy mean of it."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Linear(64, 10).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
data = [(torch.randn(32, 64), torch.randint(10, (32,))) for _ in range(12)]

rows, means = [], []


def keep(scores):
    host = scores.detach().cpu()  # expect: PA105
    rows.append(host[:, -1, :])
    means.append(scores.detach().abs().cpu().numpy().mean())  # expect: PA105


for x, y in data:
    out = model(x.to(device))
    keep((out @ out.T).view(1, 32, 32).repeat(4, 1, 1))
    loss = nn.functional.cross_entropy(out, y.to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
