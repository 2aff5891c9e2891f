"""A multi-task loss with fixed weights, written out in the training step."""
import math

import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


class MultiTask(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Linear(9, 16)
        self.heads = nn.ModuleList(nn.Linear(16, 1) for _ in range(3))

    def forward(self, x):
        h = self.trunk(x).tanh()
        return torch.cat([head(h) for head in self.heads], dim=1)


def combine(losses, step, steps):
    weights = torch.tensor([1.0, 0.5, 0.25]).to(losses.device)  # expect: PA103
    return (weights * losses).sum()


torch.manual_seed(314)
model = MultiTask().to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
steps = 12
data = [(torch.randn(8, 9), torch.randn(8, 3)) for _ in range(steps)]
for step in range(steps):
    x, y = data[step]
    loss = combine((model(x.to(device)) - y.to(device)).square().mean(0), step, steps)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
