"""Observations of an environment reach the device as tensors of their values: data."""
import random

import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"
torch.manual_seed(35)
random.seed(35)


class CartLike:
    def __init__(self):
        self.state = [0.0, 0.1, 0.0, -0.1]

    def step(self, force):
        x, v, a, w = self.state
        self.state = [x + 0.1 * v, v + force + random.gauss(0, 0.01), a + 0.1 * w, w - force]
        return self.state, 1.0 - abs(a)


policy = nn.Linear(4, 2).to(device)
optimizer = torch.optim.Adam(policy.parameters(), lr=1e-2)
env = CartLike()
observation, reward = env.step(0.0)
for t in range(14):
    obs = torch.tensor(observation, dtype=torch.float32).to(device)
    log_prob = policy(obs).log_softmax(-1)
    observation, reward = env.step(random.choice([-0.1, 0.1]))
    loss = -log_prob[t % 2] * torch.as_tensor(reward).to(device)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
