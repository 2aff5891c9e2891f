"""Once per epoch is worth knowing; parameters that are measured are not saved."""

import io

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10)).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
xs = torch.randn(12, 32, 64, device=device)

norms = []
for epoch in range(4):
    for x in xs:
        loss = model(x).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    norms.append(torch.stack([v.norm() for v in model.state_dict().values()]).max())
    torch.save(model.state_dict(), io.BytesIO())  # expect: PA403 info
