"""The running average is where its parameter is."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10)).to(device)
xs = torch.randn(12, 32, 64, device=device)


class Averaged(torch.optim.Optimizer):
    """Plain descent that keeps a running average of each parameter."""

    def __init__(self, parameters, lr=0.01):
        super().__init__(parameters, {"lr": lr})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                state = self.state[p]
                if not state:
                    state["average"] = torch.zeros_like(p)
                p.sub_(group["lr"] * p.grad)
                state["average"].lerp_(p, 0.1)


optimizer = Averaged(model.parameters())
for x in xs:
    loss = model(x).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
