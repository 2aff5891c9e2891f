"""Noise is mixed in on the host, or the host reads the wide tensor too: bytes do not say it all."""

import torch
from torch import nn
from torch.nn import functional as F

device = "cuda"
torch.manual_seed(0)
images = torch.randint(0, 256, (12, 16, 768), dtype=torch.uint8)
labels = torch.randint(0, 5, (12, 16), device=device)
model = nn.Linear(768, 5).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
mean = torch.zeros(768)
for step in range(12):
    noisy = images[step].float()
    noisy += torch.randn(16, 768)
    noisy = noisy.to(device)
    wide = images[step].float()
    mean += wide.mean(0)
    shown = wide.to(device)
    loss = F.cross_entropy(model(noisy) + model(shown), labels[step])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(mean.mean())
