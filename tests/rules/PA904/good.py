"""Every comment silences something, by code or by name."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Linear(64, 10).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
for step, x in enumerate(torch.randn(12, 32, 64, device=device)):
    loss = model(x).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    value = loss.item()  # placeaudit: ignore[PA201]
    if step % 4 == 3:
        other = float(
            x.amax()  # placeaudit: ignore[scalar-read]
        )
