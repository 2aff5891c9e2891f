"""Shuffled samples and augmented batches differ from epoch to epoch."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Linear(64, 10).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
samples = TensorDataset(torch.randn(192, 64), torch.randint(10, (192,)))
loader = DataLoader(samples, batch_size=32, shuffle=True)
fixed = [torch.randn(32, 64) for _ in range(6)]

for epoch in range(4):
    for (x, y), other in zip(loader, fixed):
        if epoch % 2:
            other = other.flip(1)
        other = (other * (1 + 0.1 * epoch)).to(device)
        loss = nn.functional.cross_entropy(model(x.to(device) + other), y.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
