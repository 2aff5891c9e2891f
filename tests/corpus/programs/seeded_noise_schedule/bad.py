"""A diffusion step draws its noise from a seeded generator."""
import torch
from torch import nn

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class NoiseSchedule:
    def __init__(self, steps=20, seed=343):
        beta = torch.linspace(1e-3, 0.2, steps)
        self.alpha = torch.cumprod(1 - beta, 0).to(device)
        self.generator = torch.Generator().manual_seed(seed)

    def corrupt(self, x, t):
        noise = torch.randn(x.shape, generator=self.generator).to(x.device)  # expect: PA103
        a = self.alpha[t][:, None]
        return a.sqrt() * x + (1 - a).sqrt() * noise, noise


torch.manual_seed(343)
schedule, net = NoiseSchedule(), nn.Linear(12, 12).to(device)
optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
seen = 0
for x in torch.randn(12, 8, 12):
    t = torch.randint(20, (8,), device=device)
    noisy, noise = schedule.corrupt(x.to(device), t)
    loss = (net(noisy) - noise).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    seen += len(x)
assert torch.isfinite(loss)
print("seen", seen)
