"""The loader pins."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Linear(64, 10).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
data = [(torch.randn(32, 64), torch.randint(10, (32,))) for _ in range(12)]

from torch.utils.data import DataLoader, TensorDataset

dataset = TensorDataset(torch.randn(12 * 512, 64), torch.randint(10, (12 * 512,)))
loader = DataLoader(dataset, batch_size=512, shuffle=True, pin_memory=True)
for x, y in loader:
    x = x.to(device, non_blocking=True)
    y = y.to(device, non_blocking=True)
    loss = nn.functional.cross_entropy(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
