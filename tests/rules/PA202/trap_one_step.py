"""A dry run of one step: moving the model is its setup all the same."""

import numpy as np
import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Sequential(nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 256)).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
x = torch.from_numpy(np.random.default_rng(0).random((8, 256), dtype=np.float32))
loss = model(x.to(device)).square().mean()
optimizer.zero_grad()
loss.backward()
optimizer.step()
