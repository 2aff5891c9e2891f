"""torch.distributions checks its arguments on the device and waits for the answer."""
import torch
from torch import nn
from torch.distributions import Normal

device = "cuda" if torch.cuda.is_available() else "cpu"


class GaussianPolicy(nn.Module):
    def __init__(self):
        super().__init__()
        self.mu = nn.Linear(6, 2)
        self.log_std = nn.Parameter(torch.zeros(2))

    def forward(self, obs):
        return Normal(self.mu(obs), self.log_std.exp(), validate_args=False)


torch.manual_seed(130)
policy = GaussianPolicy().to(device)
optimizer = torch.optim.Adam(policy.parameters(), lr=1e-3)
data = [(torch.randn(8, 6), torch.randn(8, 2), torch.randn(8)) for _ in range(12)]
for obs, action, advantage in data:
    dist = policy(obs.to(device))
    logp = dist.log_prob(action.to(device)).sum(-1)
    loss = -(logp * advantage.to(device)).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
