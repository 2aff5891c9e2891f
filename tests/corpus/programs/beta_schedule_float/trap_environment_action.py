"""REINFORCE: the environment needs the action, so the wait is needed."""
import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


class Bandit:
    def __init__(self, seed):
        self.rng = torch.Generator().manual_seed(seed)

    def step(self, arm):
        return torch.randn(5, generator=self.rng), 1.0 if arm == 2 else 0.0


def rollout(policy, env, state, horizon=3):
    logps, rewards = [], []
    for _ in range(horizon):
        logits = policy(state.to(device))
        dist = torch.distributions.Categorical(logits=logits, validate_args=False)
        action = dist.sample()
        state, reward = env.step(action.item())  # expect: PA201 info
        logps.append(dist.log_prob(action))
        rewards.append(reward)
    return torch.stack(logps), sum(rewards), state


torch.manual_seed(77)
env, state = Bandit(77), torch.zeros(5)
policy = nn.Linear(5, 4).to(device)
optimizer = torch.optim.Adam(policy.parameters(), lr=1e-2)
for episode in range(12):
    logps, total, state = rollout(policy, env, state)
    loss = -(logps.sum() * total)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{policy.bias.sum().item():.4f}")
