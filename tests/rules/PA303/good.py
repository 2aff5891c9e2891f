"""The buffer is there before the model is moved, and batches are moved where they are made."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"


class Normalized(nn.Module):
    def __init__(self, mean):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(64, 10))
        self.register_buffer("mean", mean)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        return (x - self.mean) @ self.weight


model = Normalized(torch.randn(64)).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
for x in torch.randn(12, 32, 64):
    loss = model(x.to(device)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
