"""A target that was taken down once is brought up again in every step."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Linear(64, 10).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
data = [(torch.randn(32, 64), torch.randint(10, (32,))) for _ in range(12)]

with torch.no_grad():
    target = model(data[0][0].to(device)).cpu()
for x, y in data:
    out = model(x.to(device))
    loss = nn.functional.cross_entropy(out, y.to(device))
    loss = loss + (out - target.to(device)).square().mean()  # expect: PA101
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
