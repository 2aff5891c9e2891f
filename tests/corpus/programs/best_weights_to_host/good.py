"""Weights are copied to the host whenever the step looks good."""
import copy

import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


def snapshot(model):
    return copy.deepcopy(model.state_dict())


def main():
    torch.manual_seed(113)
    model = nn.Sequential(nn.Linear(7, 7), nn.Tanh(), nn.Linear(7, 7)).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    best = None
    for x in torch.randn(14, 4, 7):
        x = x.to(device)
        loss = (model(x) - x).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        best = snapshot(model)
    print(f"{sum(v.sum() for v in best.values()).item():.4f}")


main()
