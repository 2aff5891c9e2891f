"""One synchronize an epoch, to time it: worth knowing, not stray."""
import time

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

device = "cuda" if torch.cuda.is_available() else "cpu"
torch.manual_seed(93)
loader = DataLoader(TensorDataset(torch.randn(60, 8)), batch_size=5, shuffle=True)
model = nn.Linear(8, 8).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
times = []
for epoch in range(3):
    begin = time.perf_counter()
    for (x,) in loader:
        x = x.to(device)
        loss = (model(x) - x).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    if torch.cuda.is_available():
        torch.cuda.synchronize()  # expect: PA205 info
    times.append(time.perf_counter() - begin)
print(len(times), f"{loss.item():.4f}")
