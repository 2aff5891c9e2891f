"""Branches not taken, dtypes, functions not called, turns that end early: nothing is known."""

import torch
from torch import nn

torch.manual_seed(0)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
model = nn.Linear(64, 10).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)


def unused(x):
    return x.to(device)


def train(data, debug=False):
    for step, x in enumerate(data):
        x = x.to(device)
        if debug:
            x = x.cpu()
        x = x.to(torch.float32)
        keep = x.to(device) if debug else x
        loss = model(keep).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step < 100:
            continue
        print(loss.cpu())


train(torch.randn(12, 32, 64))
