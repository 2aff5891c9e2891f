"""forward moves what it is given, so nobody sees that batches arrive on the host."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(64, 10)

    def forward(self, x):
        return self.layer(x.to(self.layer.weight.device))  # expect: PA303 info


model = Net().to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
for x in torch.randn(12, 32, 64):
    loss = model(x).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
