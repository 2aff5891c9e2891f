"""The host changes the values in between; weights that both devices got are no bounce."""

# simulate: cuda:2
import torch
from torch import nn

torch.manual_seed(0)
first = nn.Linear(64, 64).to("cuda:0")
second = nn.Linear(64, 10).to("cuda:1")
optimizer = torch.optim.SGD([*first.parameters(), *second.parameters()], lr=0.01)
data = [(torch.randn(32, 64), torch.randint(10, (32,))) for _ in range(12)]
kept = []

for x, y in data:
    x0, x1 = x.to("cuda:0"), x.to("cuda:1")
    kept.append(x0.cpu())
    noisy = (first(x0).detach().cpu() * 0.5).sin()
    out = second(noisy.to("cuda:1") + x1)
    loss = nn.functional.cross_entropy(out, y.to("cuda:1"))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
