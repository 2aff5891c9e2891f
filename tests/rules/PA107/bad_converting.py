"""The copy itself converts: a blocking one does so on the host, before the bytes cross."""

import torch
from torch import nn
from torch.nn import functional as F

device = "cuda"
torch.manual_seed(0)
images = torch.randint(0, 256, (12, 32, 768), dtype=torch.uint8)
labels = torch.randint(0, 5, (12, 32), device=device)
model = nn.Linear(768, 5).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
for step in range(12):
    batch = images[step].to(device, torch.float32)  # expect: PA107
    loss = F.cross_entropy(model(batch / 255), labels[step])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
