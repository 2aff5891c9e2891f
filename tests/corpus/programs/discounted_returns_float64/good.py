"""REINFORCE: NumPy computes the returns, in double precision."""
import numpy as np
import torch
from torch import nn

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def discounted(rewards, gamma=0.9):
    out, total = np.zeros(len(rewards)), 0.0
    for t in reversed(range(len(rewards))):
        total = rewards[t] + gamma * total
        out[t] = total
    return (out - out.mean()) / (out.std() + 1e-8)


def policy_loss(policy, states, actions, rewards):
    returns = discounted(rewards)
    returns = torch.as_tensor(returns, dtype=torch.float32).to(device)
    log_probs = policy(states.to(device)).log_softmax(-1)
    picked = log_probs.gather(1, actions.to(device)[:, None]).squeeze(1)
    return -(returns * picked).mean()


torch.manual_seed(329)
rng = np.random.default_rng(329)
policy = nn.Sequential(nn.Linear(5, 16), nn.Tanh(), nn.Linear(16, 3)).to(device)
optimizer = torch.optim.Adam(policy.parameters(), lr=1e-2)
for episode in range(12):
    length = int(rng.integers(300, 400))
    states, actions = torch.randn(length, 5), torch.randint(3, (length,))
    loss = policy_loss(policy, states, actions, rng.normal(size=length))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
