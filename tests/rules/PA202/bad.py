"""Large batches come from pageable memory."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Linear(64, 10).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
data = [(torch.randn(32, 64), torch.randint(10, (32,))) for _ in range(12)]

from torch.utils.data import DataLoader, TensorDataset

dataset = TensorDataset(torch.randn(12 * 512, 64), torch.randint(10, (12 * 512,)))
for x, y in DataLoader(dataset, batch_size=512, shuffle=True):
    x = x.to(device, non_blocking=True)  # expect: PA202
    y = y.to(device)  # expect: PA202 info
    loss = nn.functional.cross_entropy(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
