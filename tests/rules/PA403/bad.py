"""Weights are saved every other step, and kept on the host every step."""

import io

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10)).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
xs = torch.randn(12, 32, 64, device=device)

best = {}
for step, x in enumerate(xs):
    loss = model(x).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    best = {k: v.detach().cpu() for k, v in model.state_dict().items()}  # expect: PA403
    if step % 2 == 0:
        torch.save({"model": model.state_dict(), "step": step}, io.BytesIO())  # expect: PA403
