"""Soft labels stay on the device."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Linear(64, 10).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
data = [(torch.randn(32, 64), torch.randint(10, (32,))) for _ in range(12)]

teacher = nn.Linear(64, 10).to(device)
for x, _ in data:
    x = x.to(device)
    with torch.no_grad():
        soft = teacher(x).softmax(-1)
    loss = -(soft * model(x).log_softmax(-1)).sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
