"""Values of a tensor written through a mask are counted first; so is what is read and changed."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Linear(64, 64).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)


def corrupt(x):
    hidden = torch.rand_like(x) < 0.1
    noise = torch.randn_like(x)
    x = x.clone()
    x[hidden] = noise[hidden]  # expect: PA204
    return x


for x in torch.randn(12, 32, 64, device=device):
    loss = (model(corrupt(x)) - x).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
