"""Bytes cross as they are; the device widens them."""

import torch
from torch import nn
from torch.nn import functional as F

device = "cuda"
torch.manual_seed(0)
images = torch.randint(0, 256, (12, 32, 3, 16, 16), dtype=torch.uint8)
labels = torch.randint(0, 5, (12, 32), device=device)
model = nn.Sequential(nn.Flatten(), nn.Linear(768, 5)).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
for step in range(12):
    batch = images[step].to(device).float().div_(255)
    loss = F.cross_entropy(model(batch), labels[step])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
