"""One helper moves everything; what one caller leaves unread the other one reads."""

import torch
from torch import nn
from torch.nn import functional as F

device = torch.device("cuda")
torch.manual_seed(0)
model = nn.Linear(48, 6).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)


def move(tensor):
    return tensor.to(device)


generator = torch.Generator().manual_seed(1)
for _ in range(12):
    x = move(torch.randn(32, 48, generator=generator) + 1)
    y = move(torch.randint(0, 6, (32,), generator=generator) * 1)
    extra = move(torch.randn(32, 48, generator=generator) - 1)
    loss = F.cross_entropy(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
