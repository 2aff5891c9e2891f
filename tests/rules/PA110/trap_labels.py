"""Labels that follow a pattern come again; the samples do not."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Linear(64, 10).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
data = [(torch.randn(32, 64), torch.randint(10, (32,))) for _ in range(12)]

labels = [(torch.arange(8) + i % 3) % 3 for i in range(12)]
for (x, _), y in zip(data, labels):
    out = model(x[:8].to(device))
    loss = nn.functional.cross_entropy(out, y.to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
