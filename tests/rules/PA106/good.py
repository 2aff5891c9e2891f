"""Samples are stacked on the host, norms on the device: one copy each."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
layers = [nn.Linear(64, 64) for _ in range(5)]
model = nn.Sequential(*layers, nn.Linear(64, 10)).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
data = [[(torch.randn(64), torch.randint(10, ())) for _ in range(32)] for _ in range(12)]
history = []


def gradient_norm(module):
    return torch.stack([p.grad.norm() for p in module.parameters()]).norm()


for samples in data:
    x = torch.stack([image for image, _ in samples]).to(device)
    y = torch.stack([label for _, label in samples]).to(device)
    loss = nn.functional.cross_entropy(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    history.append(gradient_norm(model))
    optimizer.step()
print(torch.stack(history).max().item())
