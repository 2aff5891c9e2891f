"""Diffusion: time steps and noise are drawn on the host, two calls on one line."""
import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


class Denoiser(nn.Module):
    def __init__(self, width=16, steps=100):
        super().__init__()
        self.time = nn.Embedding(steps, width)
        self.net = nn.Sequential(nn.Linear(width, 32), nn.SiLU(), nn.Linear(32, width))

    def forward(self, x, t):
        return self.net(x + self.time(t))


class Schedule:
    def __init__(self, steps=100):
        self.steps = steps
        self.alpha_bar = torch.cumprod(1 - torch.linspace(1e-4, 0.02, steps), 0).to(device)

    def draw(self, x):
        t, noise = torch.randint(self.steps, (len(x),)).to(device), torch.randn(x.shape).to(device)  # expect: PA103
        a = self.alpha_bar[t][:, None]
        return a.sqrt() * x + (1 - a).sqrt() * noise, t, noise


torch.manual_seed(23)
schedule, model = Schedule(), Denoiser().to(device)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
for x in torch.randn(12, 8, 16):
    noisy, t, noise = schedule.draw(x.to(device))
    loss = (model(noisy, t) - noise).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
