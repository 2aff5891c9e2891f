"""Each step is timed, with a synchronize on both sides."""
import contextlib
import time

import torch
from torch import nn

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Timer:
    def __init__(self):
        self.total = 0.0

    @contextlib.contextmanager
    def measure(self):
        begin = time.perf_counter()
        try:
            yield
        finally:
            self.total += time.perf_counter() - begin


torch.manual_seed(90)
timer, model = Timer(), nn.Linear(10, 10).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x in torch.randn(12, 6, 10):
    with timer.measure():
        x = x.to(device)
        loss = (model(x) - x).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
print(f"{loss.item():.4f}", timer.total > 0)
