"""Frames are kept as bytes in the replay memory and scaled for the network."""
from collections import deque

import numpy as np
import torch
from torch import nn

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class FrameMemory:
    def __init__(self, size):
        self.rng, self.frames = np.random.default_rng(327), deque(maxlen=size)

    def fill(self, n):
        for _ in range(n):
            self.frames.append(self.rng.integers(0, 256, (2, 12, 12), dtype=np.uint8))

    def sample(self, n):
        picked = self.rng.choice(len(self.frames), n, replace=False)
        return np.stack([self.frames[i] for i in picked])


def preprocess(frames):
    return torch.from_numpy(frames).float().div(255.0).to(device)  # expect: PA107


torch.manual_seed(327)
memory = FrameMemory(40)
memory.fill(40)
net = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(400, 3)).to(device)
optimizer = torch.optim.RMSprop(net.parameters(), lr=1e-3)
for _ in range(12):
    q = net(preprocess(memory.sample(8)))
    loss = (q.max(1).values - 1).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
