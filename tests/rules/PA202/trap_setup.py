"""A large table is uploaded once, before the loop."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Linear(64, 10).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
data = [(torch.randn(32, 64), torch.randint(10, (32,))) for _ in range(12)]

table = torch.randn(12 * 512, 64).to(device)
for i in range(12):
    loss = model(table[i * 512 : (i + 1) * 512]).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
