"""Two models trained one after the other: the second one's steps count as well."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
data = [torch.randn(32, 64).to(device) for _ in range(8)]


def pretrain():
    coder = nn.Linear(64, 64).to(device)
    optimizer = torch.optim.Adam(coder.parameters())
    for x in data:
        loss = (coder(x) - x).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return coder


def fit(coder):
    head = nn.Linear(64, 1).to(device)
    optimizer = torch.optim.SGD(head.parameters(), lr=0.01)
    total = 0.0
    for x in data:
        loss = head(coder(x).detach()).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()  # expect: PA201
    return total


print(fit(pretrain()))
