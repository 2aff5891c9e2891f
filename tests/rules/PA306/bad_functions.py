"""Moves in functions of the step in which nothing else is recorded."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Linear(64, 10).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
data = [(torch.randn(32, 64), torch.randint(10, (32,))) for _ in range(12)]

class Head(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(10, 10)

    def forward(self, x):
        x = x.to(device)  # expect: PA306 info
        return self.layer(x)


def criterion(logits, target):
    return nn.functional.cross_entropy(logits.to(device), target)  # expect: PA306 info


def never_called(logits):
    return logits.to(device)


head = Head().to(device)
for x, y in data:
    x, y = x.to(device), y.to(device)
    loss = criterion(head(model(x)), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
