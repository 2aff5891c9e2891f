"""A2C: what the critic says goes to a host-side storage, and up again for the update."""
import numpy as np
import torch
from torch import nn
from torch.distributions import Categorical

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class VectorEnv:
    def __init__(self, n):
        self.rng, self.n = np.random.default_rng(325), n

    def reset(self):
        self.state = self.rng.normal(size=(self.n, 4)).astype(np.float32)
        return self.state

    def step(self, actions):
        push = np.where(actions == 1, 0.1, -0.1).astype(np.float32)
        self.state = self.state + push[:, None]
        return self.state, -np.abs(self.state[:, 0])


class ActorCritic(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(4, 16)
        self.pi, self.v = nn.Linear(16, 2), nn.Linear(16, 1)

    def forward(self, obs):
        h = self.body(obs).tanh()
        return self.pi(h), self.v(h).squeeze(-1)


class Storage:
    def __init__(self):
        self.log_probs, self.values, self.rewards = [], [], []

    def insert(self, log_prob, value, reward):
        self.log_probs.append(log_prob)
        self.values.append(value.detach().cpu())
        self.rewards.append(torch.from_numpy(reward))

    def returns(self, gamma=0.95):
        total, out = torch.zeros(self.rewards[0].shape), []
        for reward in reversed(self.rewards):
            total = reward + gamma * total
            out.append(total)
        return torch.stack(out[::-1])


torch.manual_seed(325)
env, net = VectorEnv(24), ActorCritic().to(device)
optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
obs = env.reset()
for update in range(12):
    storage = Storage()
    for _ in range(6):
        logits, value = net(torch.from_numpy(obs).to(device))
        dist = Categorical(logits=logits, validate_args=False)
        action = dist.sample()
        obs, reward = env.step(action.cpu().numpy())
        storage.insert(dist.log_prob(action), value, reward)
    returns = storage.returns().to(device)
    values = torch.stack(storage.values).to(device)  # expect: PA111
    loss = -((returns - values) * torch.stack(storage.log_probs)).mean()
    loss = loss + 0.5 * (returns - net(torch.from_numpy(obs).to(device))[1]).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
