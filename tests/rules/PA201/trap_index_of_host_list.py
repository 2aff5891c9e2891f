"""A number that picks from what the host holds is needed, device tensors in between or not."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Linear(16, 4).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
names, grid = ["a", "b", "c", "d"], torch.arange(40).view(4, 10)
seen = []
for x in torch.randn(12, 8, 16):
    out = model(x.to(device))
    loss = out.square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    best = out.detach().sum(0).argmax().item()  # expect: PA201 info
    seen.append(names[best])
    top = out.detach()[0].argmax().item()  # expect: PA201 info
    seen.append(grid[top, 2:5].sum())
print(len(seen))
