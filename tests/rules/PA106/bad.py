"""A batch is uploaded sample by sample, and the gradients' norms are read one by one."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
layers = [nn.Linear(64, 64) for _ in range(5)]
model = nn.Sequential(*layers, nn.Linear(64, 10)).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
data = [[(torch.randn(64), torch.randint(10, ())) for _ in range(32)] for _ in range(12)]


def gradient_norm(module):
    total = 0.0
    for parameter in module.parameters():
        total += parameter.grad.norm().item() ** 2  # expect: PA106
    return total ** 0.5


for samples in data:
    x = torch.stack([image.to(device) for image, _ in samples])  # expect: PA106
    y = torch.stack([label for _, label in samples]).to(device)
    loss = nn.functional.cross_entropy(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    gradient_norm(model)
    optimizer.step()
