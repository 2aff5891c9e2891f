"""The host needs the value: an environment, early stopping, a file."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Linear(64, 10).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
data = [(torch.randn(32, 64), torch.randint(10, (32,))) for _ in range(12)]

import io

log = io.StringIO()


class Environment:
    def step(self, action):
        return torch.randn(64), float(action) > 3


env = Environment()
state = torch.randn(64)
best, bad = float("inf"), 0
for x, y in data:
    action = model(state.to(device)).argmax()
    state, _ = env.step(action.item())  # expect: PA201 info
    loss = nn.functional.cross_entropy(model(x.to(device)), y.to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    log.write(f"{loss.item()}\n")  # expect: PA201 info
    value = loss.sqrt().item()  # expect: PA201 info
    if value < best:
        best, bad = value, 0
    else:
        bad += 1
    if bad > 50:
        break
