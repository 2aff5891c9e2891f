"""A critic is brought to the device for each step by a context manager."""
from contextlib import contextmanager

import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


@contextmanager
def on_device(module):
    yield module


torch.manual_seed(318)
critic = nn.Sequential(nn.Linear(10, 24), nn.ReLU(), nn.Linear(24, 1)).requires_grad_(False)
critic.to(device)
actor = nn.Linear(10, 10).to(device)
optimizer = torch.optim.Adam(actor.parameters(), lr=1e-2)
for observation in torch.randn(12, 6, 10):
    action = actor(observation.to(device)).tanh()
    with on_device(critic) as score:
        loss = -score(action).mean() + action.square().mean()
        optimizer.zero_grad()
        loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
