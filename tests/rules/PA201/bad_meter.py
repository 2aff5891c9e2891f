"""The running average of the imagenet example."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Linear(64, 10).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
data = [(torch.randn(32, 64), torch.randint(10, (32,))) for _ in range(12)]

class AverageMeter:
    def __init__(self):
        self.sum = 0.0
        self.count = 0

    def update(self, val, n=1):
        self.val = val
        self.sum += val * n
        self.count += n
        self.avg = self.sum / self.count


losses = AverageMeter()
for x, y in data:
    out = model(x.to(device))
    loss = nn.functional.cross_entropy(out, y.to(device))
    losses.update(loss.item(), x.size(0))  # expect: PA201
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(losses.avg)
