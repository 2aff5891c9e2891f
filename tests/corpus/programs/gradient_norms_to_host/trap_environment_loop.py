"""An agent that acts often and trains now and then: each turn is a step of its own."""
import random
from collections import deque

import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


class Agent:
    def __init__(self):
        self.q = nn.Linear(4, 2).to(device)
        self.optimizer = torch.optim.Adam(self.q.parameters(), lr=1e-2)
        self.memory = deque(maxlen=64)

    def act(self, state):
        with torch.no_grad():
            return int(self.q(state.to(device)).argmax())  # expect: PA201 info

    def learn(self):
        batch = random.sample(self.memory, 8)
        states = torch.stack([s for s, _, _ in batch]).to(device)
        actions = torch.tensor([a for _, a, _ in batch]).to(device)
        rewards = torch.tensor([r for _, _, r in batch]).to(device)
        q = self.q(states).gather(1, actions[:, None]).squeeze(1)
        loss = (q - rewards).square().mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()


class Environment:
    def __init__(self, seed):
        self.rng = torch.Generator().manual_seed(seed)

    def reset(self):
        return torch.randn(4, generator=self.rng)

    def step(self, action):
        return torch.randn(4, generator=self.rng), float(action)


torch.manual_seed(53)
random.seed(53)
agent, env = Agent(), Environment(53)
state = env.reset()
for t in range(120):
    action = agent.act(state)
    following, reward = env.step(action)
    agent.memory.append((state, action, reward))
    state = following
    if t % 12 == 11:
        agent.learn()
print(f"{agent.q.weight.sum().item():.4f}")
