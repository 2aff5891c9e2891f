"""An evaluation loop that calls a model and a loss module, both in each turn."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Linear(64, 10).to(device)
criterion = nn.CrossEntropyLoss()
data = [(torch.randn(32, 64), torch.randint(10, (32,))) for _ in range(12)]
data = [(x.to(device), y.to(device)) for x, y in data]


def evaluate():
    model.eval()
    total = 0.0
    with torch.no_grad():
        for x, y in data[:6]:
            total += len(x) * criterion(model(x), y).item()  # expect: PA201
    return total / len(data)


def train():
    model.train()
    for x, y in data * 2:
        model.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        for p in model.parameters():
            p.data.add_(p.grad, alpha=-0.1)


for epoch in range(3):
    train()
    print(evaluate())
