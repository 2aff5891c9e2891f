"""A replay buffer on the device, sampled with indices from the host."""
import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


class ReplayBuffer:
    def __init__(self, capacity, obs):
        self.obs = torch.randn(capacity, obs, device=device)
        self.reward = torch.randn(capacity, device=device)
        self.rng = torch.Generator().manual_seed(98)
        self.order = torch.randint(capacity, (400,), generator=self.rng)
        self.at = 0

    def sample(self, n):
        index = self.order[self.at : self.at + n]
        self.at += n
        return self.obs[index], self.reward[index]  # expect: PA208


torch.manual_seed(98)
buffer, critic = ReplayBuffer(100, 6), nn.Linear(6, 1).to(device)
optimizer = torch.optim.Adam(critic.parameters(), lr=1e-3)
for _ in range(12):
    obs, reward = buffer.sample(16)
    loss = (critic(obs).squeeze(1) - reward).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
