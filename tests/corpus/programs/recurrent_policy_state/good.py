"""A recurrent policy keeps its hidden state as NumPy arrays between steps."""
import numpy as np
import torch
from torch import nn

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Policy(nn.Module):
    def __init__(self, obs=8, hidden=32, actions=4):
        super().__init__()
        self.cell = nn.GRUCell(obs, hidden)
        self.head = nn.Linear(hidden, actions)

    def forward(self, obs, hidden):
        hidden = self.cell(obs, hidden)
        return self.head(hidden), hidden


class Runner:
    """Holds what must survive from one step to the next."""

    def __init__(self, policy, envs=16):
        self.policy = policy
        self.hidden = torch.zeros(envs, 32, device=device)

    def act(self, obs):
        logits, hidden = self.policy(obs, self.hidden)
        self.hidden = hidden.detach()
        return logits


torch.manual_seed(1)
policy = Policy().to(device)
runner = Runner(policy)
optimizer = torch.optim.RMSprop(policy.parameters(), lr=1e-3)
rollout = [torch.randn(16, 8) for _ in range(14)]
returns = [torch.randn(16) for _ in rollout]
for obs, ret in zip(rollout, returns):
    logits = runner.act(obs.to(device))
    loss = -(logits.log_softmax(-1)[:, 0] * ret.to(device)).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"final {loss.item():.5f}")
