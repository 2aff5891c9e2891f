"""Adam counts its steps on the host, which is right where it is neither fused nor capturable."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10)).to(device)
xs = torch.randn(12, 32, 64, device=device)

optimizer = torch.optim.Adam(model.parameters(), foreach=True)
other = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
for x in xs:
    loss = model(x).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    other.step()
