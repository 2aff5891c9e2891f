"""Exploration noise: empty().normal_() on the host, then .cuda()."""
import contextlib

import torch
from torch import nn

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class OUNoise:
    def __init__(self, shape, theta=0.15, sigma=0.2):
        self.shape, self.theta, self.sigma = shape, theta, sigma
        self.state = torch.zeros(shape, device=DEVICE)

    def sample(self):
        noise = torch.empty(self.shape)
        noise.normal_()
        noise = noise.mul_(self.sigma).to(DEVICE)  # expect: PA103
        self.state = self.state * (1 - self.theta) + noise
        return self.state


@contextlib.contextmanager
def frozen(*modules):
    flags = [(p, p.requires_grad) for m in modules for p in m.parameters()]
    try:
        for p, _ in flags:
            p.requires_grad_(False)
        yield
    finally:
        for p, flag in flags:
            p.requires_grad_(flag)


def main():
    torch.manual_seed(30)
    actor, critic = nn.Linear(6, 2).to(DEVICE), nn.Linear(8, 1).to(DEVICE)
    opt_a, opt_c = (torch.optim.Adam(m.parameters(), lr=1e-3) for m in (actor, critic))
    noise = OUNoise((16, 2))
    for obs, reward in zip(torch.randn(12, 16, 6), torch.randn(12, 16, 1)):
        obs, reward = obs.to(DEVICE), reward.to(DEVICE)
        with torch.no_grad():
            action = actor(obs).tanh() + noise.sample()
        loss = (critic(torch.cat([obs, action], 1)) - reward).square().mean()
        opt_c.zero_grad()
        loss.backward()
        opt_c.step()
        with frozen(critic):
            gain = -critic(torch.cat([obs, actor(obs).tanh()], 1)).mean()
            opt_a.zero_grad()
            gain.backward()
            opt_a.step()
    print(f"{loss.item():.4f} {gain.item():.4f}")


main()
