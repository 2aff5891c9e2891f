"""A function's name stands for a lambda here, and an argument for another: neither body runs."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Linear(64, 10).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
real_data = len(model.bias) > 10

if real_data:

    def batch():
        x = torch.randn(32, 64)
        return x.to(device)

else:
    fixed = torch.randn(32, 64, device=device)
    batch = lambda: fixed


def clean(x):
    return x.to(device)


def step(clean):
    x = clean(batch())
    loss = model(x).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(loss.item())  # expect: PA201


for _ in range(12):
    step(lambda x: x * 2)
