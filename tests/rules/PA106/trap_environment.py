"""Each turn of the loop is a step of an environment; the agent trains now and then."""

import random

import torch
from torch import nn

torch.manual_seed(0)
random.seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
policy = nn.Linear(8, 4).to(device)
optimizer = torch.optim.Adam(policy.parameters())


class Environment:
    def reset(self):
        return [0.0] * 8

    def step(self, action):
        return [random.random() + action for _ in range(8)], random.random()


def explore(environment, memory, turns):
    """Random actions: no model call, no download."""
    for _ in range(turns):
        state, reward = environment.step(random.randrange(4))
        memory.append((torch.tensor(state).to(device), reward))


environment, memory = Environment(), []
state = environment.reset()
for turn in range(240):
    observation = torch.tensor(state).to(device)
    action = int(policy(observation).argmax())  # expect: PA201 info
    state, reward = environment.step(action)
    memory.append((observation, reward))
    if turn % 20 == 19:
        explore(environment, memory, 20)
        states = torch.stack([s for s, _ in memory])
        rewards = torch.tensor([r for _, r in memory]).to(device)
        loss = -(policy(states).log_softmax(-1).mean(-1) * rewards).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        memory.clear()
