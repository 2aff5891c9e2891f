"""A buffer is made after the model was moved, and forward brings it over each time."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"


class Normalized(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(64, 10))

    def calibrate(self, data):
        self.register_buffer("mean", data.mean(0))

    def forward(self, x):
        return (x - self.mean.to(x.device)) @ self.weight  # expect: PA102


model = Normalized().to(device)
model.calibrate(torch.randn(100, 64))
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
for x in torch.randn(12, 32, 64, device=device):
    loss = model(x).square().mean()  # expect: PA303 info
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
