"""A data set on the device, shuffled by a permutation on the host."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Linear(64, 10).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

images = torch.randn(640, 64, device=device)
labels = torch.randint(10, (640,), device=device)
for epoch in range(2):
    order = torch.randperm(len(images))
    for i in range(0, len(images), 64):
        index = order[i : i + 64]
        x, y = images[index], labels[index]  # expect: PA208
        loss = nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
