"""What NumPy computes in between may have no device kernel: info."""

import numpy as np
import torch
from torch import nn

device = "cuda"
torch.manual_seed(0)
model = nn.Linear(64, 32).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
x = torch.randn(32, 64, device=device)
for _ in range(12):
    out = model(x)
    costs = out.detach().cpu().numpy()
    smooth = np.apply_along_axis(lambda row: np.convolve(row, [0.5, 0.5], "same"), 1, costs)
    target = torch.from_numpy(smooth).to(device)  # expect: PA111 info
    loss = (out - target).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
