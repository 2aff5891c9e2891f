"""What came from the device is moved to the device, and what is on the host to the host."""

import torch
from torch import nn

torch.manual_seed(0)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
model = nn.Linear(64, 10).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)


def train(data):
    history = []
    for x in data:
        x = x.to(device)
        noise = torch.randn_like(x).to(device)  # expect: PA306 info
        out = model(x + noise)
        out = out.cuda() if False else out
        loss = out.square().mean().to(device)  # expect: PA306 info
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        value = loss.detach().cpu()  # expect: PA201
        history.append(value.cpu().numpy())  # expect: PA306 info
    return history


train(torch.randn(12, 32, 64))
