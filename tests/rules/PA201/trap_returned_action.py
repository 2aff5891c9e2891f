"""The action is read in one function and needed in another."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Linear(64, 10).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
data = [(torch.randn(32, 64), torch.randint(10, (32,))) for _ in range(12)]

class Agent:
    def act(self, state):
        with torch.no_grad():
            return int(model(state.to(device)).argmax())  # expect: PA201 info


class Environment:
    def step(self, action):
        return torch.randn(64) if action > 3 else torch.zeros(64)


agent, env = Agent(), Environment()
state = torch.randn(64)
for x, y in data:
    action = agent.act(state)
    state = env.step(action)
    loss = nn.functional.cross_entropy(model(x.to(device)), y.to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
