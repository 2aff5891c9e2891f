"""A thread of the program's own pins and uploads while the main thread trains."""

import queue
import threading

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Linear(64, 10).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

ready = queue.Queue(maxsize=2)


def prefetch():
    for _ in range(12):
        x, y = torch.randn(32, 64) * 2, torch.randint(10, (32,)) % 10
        x = x.pin_memory().to(device, non_blocking=True)
        ready.put((x, y.pin_memory().to(device, non_blocking=True)))
    ready.put(None)


threading.Thread(target=prefetch, daemon=True).start()
while (batch := ready.get()) is not None:
    x, y = batch
    loss = nn.functional.cross_entropy(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
