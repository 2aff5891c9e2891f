"""Clipping by the global norm, as copied from an old training script."""
import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


def clip_gradient(model, limit):
    total = 0.0
    for p in model.parameters():
        if p.grad is not None:
            total += p.grad.detach().norm(2).item() ** 2  # expect: PA201
    scale = limit / (total**0.5 + 1e-6)
    if scale < 1:
        for p in model.parameters():
            p.grad.mul_(scale)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(4, 6, 3, padding=1)
        self.fc = nn.Linear(6, 2)

    def forward(self, x):
        return self.fc(self.conv(x).relu().mean(-1))


torch.manual_seed(312)
net = Net().to(device)
optimizer = torch.optim.RMSprop(net.parameters(), lr=1e-3)
for x, y in zip(torch.randn(12, 6, 4, 10), torch.randn(12, 6, 2)):
    loss = (net(x.to(device)) - y.to(device)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    clip_gradient(net, 0.1)
    optimizer.step()
print(f"{loss.item():.3f}")
