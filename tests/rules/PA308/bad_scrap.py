"""A first tensor wakes the device that is not used."""

# simulate: cuda:2
import torch
from torch import nn

torch.manual_seed(0)
count = torch.cuda.device_count()
home = f"cuda:{count - 1}" if count else "cpu"

if count:
    torch.ones(1).cuda()  # expect: PA308 info
model = nn.Linear(64, 10).to(home)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
for x in torch.randn(12, 32, 64, device=home):
    loss = model(x).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
