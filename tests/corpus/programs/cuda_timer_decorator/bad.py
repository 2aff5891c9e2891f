"""A timing decorator synchronises the device around each forward."""
import functools
import time

import torch
from torch import nn

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def timed(store):
    def decorate(function):
        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            begin = time.perf_counter()
            result = function(*args, **kwargs)
            if device.type == "cuda":
                torch.cuda.current_stream().synchronize()  # expect: PA205
            store.append(time.perf_counter() - begin)
            return result
        return wrapper
    return decorate


seconds = []
torch.manual_seed(171)
model = nn.Linear(10, 2).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)


@timed(seconds)
def forward(x):
    return model(x)


for x, y in [(torch.randn(4, 10), torch.randint(2, (4,))) for _ in range(12)]:
    loss = nn.functional.cross_entropy(forward(x.to(device)), y.to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}", len(seconds))
