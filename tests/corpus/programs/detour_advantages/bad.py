"""A2C: returns are made on the host from values that were on the device."""
from functools import partial

import torch
from torch import nn

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def advantages(values, rewards, gamma):
    values = values.detach().cpu()
    following = torch.cat([values[1:], torch.zeros(1, values.size(1))])
    return (rewards + gamma * following - values).to(device)  # expect: PA111 info


torch.manual_seed(68)
net = nn.Sequential(nn.Linear(5, 16), nn.Tanh(), nn.Linear(16, 1)).to(device)
optimizer = torch.optim.RMSprop(net.parameters(), lr=1e-3)
make = partial(advantages, gamma=0.95)
rollouts = [(torch.randn(7, 4, 5), torch.rand(7, 4)) for _ in range(12)]
for obs, rewards in rollouts:
    values = net(obs.to(device)).squeeze(-1)
    target = make(values, rewards)
    loss = (target - values).square().mean() - target.mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
