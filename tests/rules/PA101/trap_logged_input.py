"""A batch is downloaded for a picture; the next epoch uploads the host's own batch."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Linear(64, 10).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
data = [(torch.randn(32, 64), torch.randint(10, (32,))) for _ in range(12)]

pictures = []
for epoch in range(3):
    for x, y in data[:5]:
        x_dev = x.to(device)
        if epoch == 0:
            pictures.append(x_dev.cpu())
        loss = nn.functional.cross_entropy(model(x_dev), y.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
