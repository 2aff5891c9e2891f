"""Loops whose turns are work of their own: evaluation, micro-batches, a search that depends."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Linear(16, 10).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
train = [(torch.randn(32, 16), torch.randint(10, (32,))) for _ in range(48)]
held_out = [(torch.randn(32, 16), torch.randint(10, (32,))) for _ in range(120)]


def evaluate(batches):
    right = torch.zeros((), device=device)
    with torch.no_grad():
        for x, y in batches:
            right += (model(x.to(device)).argmax(-1) == y.to(device)).sum()
    return right


def bisect(values, low=-4.0, high=4.0):
    """Each turn needs what the turn before read."""
    for _ in range(10):
        middle = (low + high) / 2
        if (values < middle).float().mean().item() < 0.5:  # expect: PA201
            low = middle
        else:
            high = middle
    return middle


for step in range(12):
    optimizer.zero_grad()
    for x, y in train[4 * step : 4 * step + 4]:
        nn.functional.cross_entropy(model(x.to(device)), y.to(device)).backward()
    bisect(model.weight.detach().flatten())
    optimizer.step()
    evaluate(held_out[10 * step : 10 * step + 10])
