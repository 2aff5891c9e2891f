"""DQN with prioritised replay: each priority is fetched on its own."""
import numpy as np
import torch
from torch import nn

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class PrioritizedReplay:
    def __init__(self, capacity, obs_dim, alpha=0.6):
        self.rng = np.random.default_rng(301)
        self.obs = np.zeros((capacity, obs_dim), dtype=np.float32)
        self.action = np.zeros(capacity, dtype=np.int64)
        self.reward = np.zeros(capacity, dtype=np.float32)
        self.priority = np.ones(capacity, dtype=np.float64)
        self.alpha, self.size, self.capacity = alpha, 0, capacity

    def add(self, obs, action, reward):
        i = self.size % self.capacity
        self.obs[i], self.action[i], self.reward[i] = obs, action, reward
        self.size += 1

    def sample(self, n):
        filled = min(self.size, self.capacity)
        p = self.priority[:filled] ** self.alpha
        index = self.rng.choice(filled, n, p=p / p.sum())
        return index, self.obs[index], self.action[index], self.reward[index]


class Chain:
    def __init__(self):
        self.rng, self.state = np.random.default_rng(302), 0.0

    def step(self, action):
        self.state = 0.9 * self.state + (0.1 if action == 1 else -0.1)
        return self.rng.normal(self.state, 0.1, 6).astype(np.float32), float(self.state)


def act(net, obs):
    with torch.no_grad():
        q = net(torch.as_tensor(obs).unsqueeze(0).to(DEVICE))
    return q.argmax(1).item()


def learn(net, optimizer, memory):
    index, obs, action, reward = memory.sample(24)
    obs = torch.from_numpy(obs).to(DEVICE)
    action = torch.from_numpy(action).to(DEVICE)
    reward = torch.from_numpy(reward).to(DEVICE)
    q = net(obs).gather(1, action[:, None]).squeeze(1)
    td = reward - q
    loss = td.square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    errors = td.detach().abs()
    for i, error in zip(index, errors):
        memory.priority[i] = error.item() + 1e-3  # expect: PA106
    return loss


torch.manual_seed(301)
net = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 2)).to(DEVICE)
optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
env, memory = Chain(), PrioritizedReplay(64, 6)
obs = np.zeros(6, dtype=np.float32)
for t in range(44):
    action = act(net, obs)
    following, reward = env.step(action)
    memory.add(obs, action, reward)
    obs = following
    if t >= 30:
        loss = learn(net, optimizer, memory)
print(f"{loss.item():.4f}")
