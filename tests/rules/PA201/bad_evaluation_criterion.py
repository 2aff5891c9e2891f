"""Each turn of the evaluation calls two modules, the model and a loss."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model, criterion = nn.Linear(16, 4).to(device), nn.MSELoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
data = [(torch.randn(8, 16), torch.randn(8, 4)) for _ in range(24)]


@torch.no_grad()
def evaluate():
    losses = []
    for x, y in data[:5]:
        out = model(x.to(device))  # expect: PA110 info
        losses.append(criterion(out, y.to(device)).item())  # expect: PA201
    return losses


for epoch in range(4):
    for x, y in data[epoch * 5 : epoch * 5 + 9]:
        loss = criterion(model(x.to(device)), y.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    evaluate()
