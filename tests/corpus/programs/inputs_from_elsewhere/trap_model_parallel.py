# simulate: cuda:2
"""Model parallelism between modules is no split module."""
import torch
from torch import nn

devices = ("cuda:0", "cuda:1") if torch.cuda.device_count() > 1 else ("cpu", "cpu")


class TwoStages(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Linear(8, 16), nn.ReLU()).to(devices[0])
        self.second = nn.Linear(16, 2).to(devices[1])

    def forward(self, x):
        return self.second(self.first(x).to(devices[1]))


torch.manual_seed(104)
model = TwoStages()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x, y in [(torch.randn(6, 8), torch.randint(2, (6,))) for _ in range(12)]:
    loss = nn.functional.cross_entropy(model(x.to(devices[0])), y.to(devices[1]))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
