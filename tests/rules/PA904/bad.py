"""A comment stayed after what it silenced was gone; another one names no rule."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Linear(64, 10).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
total = torch.zeros((), device=device)
for x in torch.randn(12, 32, 64, device=device):
    loss = model(x).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    total += loss.detach()  # placeaudit: ignore[PA201]  # expect: PA904 info
    value = loss.item()  # placeaudit: ignore[PA210]  # expect: PA904 info  # expect: PA201
