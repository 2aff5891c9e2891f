"""Clipping by hand: an `if` on the norm decides whether to scale."""
import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


def clip(parameters, limit):
    grads = [p.grad for p in parameters if p.grad is not None]
    norm = torch.stack([g.norm() for g in grads]).norm()
    if norm > limit:  # expect: PA201
        for g in grads:
            g.mul_(limit / norm)
    return norm


torch.manual_seed(131)
model = nn.Sequential(nn.Linear(7, 14), nn.ReLU(), nn.Linear(14, 7)).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
for x in torch.randn(12, 5, 7):
    x = x.to(device)
    loss = (model(x) - x).square().mean()
    optimizer.zero_grad()
    loss.backward()
    clip(list(model.parameters()), 0.1)
    optimizer.step()
print(f"{loss.item():.4f}")
