"""A slice of each copy is kept, and with it the whole, which nobody can reach."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Linear(64, 256).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
head, maps = 3, []
for x in torch.randn(12, 16, 64):
    out = model(x.to(device))
    loss = out.square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    maps.append(out.detach().cpu()[head, :32].numpy())  # expect: PA105
