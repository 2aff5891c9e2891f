"""`.cpu()` does not work in place: the line does nothing but wait."""

import torch
from torch import nn


class Probe(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(64, 64)

    def forward(self, x):
        hidden = self.linear(x).relu()
        hidden.detach().cpu()  # expect: PA104
        return hidden


device = "cuda"
torch.manual_seed(0)
probe = Probe().to(device)
optimizer = torch.optim.SGD(probe.parameters(), lr=0.01)
x = torch.randn(16, 64, device=device)
for _ in range(12):
    loss = probe(x).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
