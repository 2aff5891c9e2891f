"""A loss without parameters, on the device by its buffer, moves the targets it is given."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Linear(64, 10).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
data = [(torch.randn(32, 64), torch.randint(10, (32,))) for _ in range(12)]

class Smoothed(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("prior", torch.full((10,), 0.1))

    def forward(self, logits, target):
        target = target.to(self.prior.device)  # expect: PA303 info
        return nn.functional.cross_entropy(logits, target) - (logits.log_softmax(-1) * self.prior).mean()


criterion = Smoothed().to(device)
for x, y in data:
    loss = criterion(model(x.to(device)), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
