"""NumPy's float64 crosses to be cast down on the device, and a download to be cast down after."""

import numpy as np
import torch
from torch import nn

device = "cuda"
torch.manual_seed(0)
rng = np.random.default_rng(0)
model = nn.Linear(128, 64).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
kept = []
for _ in range(12):
    signal = torch.from_numpy(rng.normal(size=(32, 128)))
    x = signal.to(device).float()  # expect: PA107
    out = model(x)
    loss = out.square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    kept.append(out.detach().cpu().half())  # expect: PA107
print(torch.stack(kept).float().mean())
