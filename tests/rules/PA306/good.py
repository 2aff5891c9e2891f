"""Each tensor is moved where it has to be."""

import torch
from torch import nn

torch.manual_seed(0)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
model = nn.Linear(64, 10).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)


def train(data):
    for x in data:
        x = x.to(device)
        loss = model(x + torch.randn_like(x)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


train(torch.randn(12, 32, 64))
