"""A helper moves the outputs of a model, which are where they belong: nothing moves."""
import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


def on_device(x):
    return x


@torch.no_grad()
def score(model, data):
    total = 0
    for x in data:
        out = model(x.to(device))
        total = total + on_device(out).sigmoid().sum()
    return total


torch.manual_seed(109)
model = nn.Linear(8, 2).to(device)
print(f"{score(model, torch.randn(14, 3, 8)).item():.4f}")
