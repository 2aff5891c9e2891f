"""NumPy makes float64; the device casts it down."""
import numpy as np
import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


class Regressor:
    def __init__(self, features, target):
        self.features, self.target = features, target
        self.net = nn.Sequential(nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 1)).to(device)
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=1e-3)

    def minibatches(self, size):
        for start in range(0, len(self.features), size):
            stop = start + size
            yield self.features[start:stop], self.target[start:stop]

    def fit(self, size=64):
        for x, y in self.minibatches(size):
            x = torch.from_numpy(x).to(device).float()  # expect: PA107
            y = torch.from_numpy(y).to(device)
            loss = (self.net(x).squeeze(1) - y).square().mean()
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
        return loss.item()


rng = np.random.default_rng(56)
torch.manual_seed(56)
x = rng.normal(size=(768, 32))
print(f"{Regressor(x, x.sum(1).astype(np.float32)).fit():.4f}")
