"""A handful of tensors a step, moved by a helper that several lines call."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Linear(16, 10).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)


def batch():
    return {"x": torch.randn(32, 16), "y": torch.randint(10, (32,)), "w": torch.rand(32)}


def move(values):
    return {name: value.to(device) for name, value in values.items()}


data = [(batch(), batch(), batch()) for _ in range(12)]
for first, second, third in data:
    first = move(first)
    second = move(second)
    third = move(third)
    loss = 0
    for part in (first, second, third):
        each = nn.functional.cross_entropy(model(part["x"]), part["y"], reduction="none")
        loss = loss + (each * part["w"]).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
