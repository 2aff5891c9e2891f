"""DQN: the mean Q value is read for a running average at every update."""
import random
from collections import deque, namedtuple

import torch
import torch.nn.functional as F
from torch import nn

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
Transition = namedtuple("Transition", "state action reward following")


class Memory:
    def __init__(self, size):
        self.items = deque(maxlen=size)

    def push(self, *values):
        self.items.append(Transition(*values))

    def sample(self, n):
        return Transition(*zip(*random.sample(self.items, n)))


class Learner:
    def __init__(self):
        self.policy, self.target = (nn.Linear(5, 3).to(device) for _ in range(2))
        self.target.load_state_dict(self.policy.state_dict())
        self.optimizer = torch.optim.AdamW(self.policy.parameters(), lr=1e-3)
        self.mean_q = 0.0

    def update(self, batch):
        state = torch.stack(batch.state).to(device)
        action = torch.stack(batch.action).to(device)
        reward = torch.stack(batch.reward).to(device)
        following = torch.stack(batch.following).to(device)
        q = self.policy(state).gather(1, action)
        with torch.no_grad():
            goal = reward + 0.9 * self.target(following).max(1, keepdim=True).values
        loss = F.smooth_l1_loss(q, goal)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.mean_q = 0.95 * self.mean_q + 0.05 * float(q.mean())  # expect: PA201


torch.manual_seed(162)
random.seed(162)
memory, learner = Memory(64), Learner()
for _ in range(64):
    memory.push(torch.randn(5), torch.randint(3, (1,)), torch.randn(1), torch.randn(5))
for _ in range(12):
    learner.update(memory.sample(8))
print(f"{float(learner.mean_q):.5f}")
