"""Full epochs over a list of arrays, fed by a generator function."""
import numpy as np
import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


def epoch_batches(x, size):
    for i in range(0, len(x), size):
        yield x[i : i + size]


class Autoencoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(14, 5), nn.Tanh(), nn.Linear(5, 14))

    def forward(self, x):
        return self.net(x)


rng = np.random.default_rng(65)
torch.manual_seed(65)
points = torch.from_numpy(rng.normal(size=(80, 14)).astype("float32")).to(device)
model = Autoencoder().to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
for epoch in range(5):
    for x in epoch_batches(points, 16):
        loss = (model(x) - x).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
print(f"{loss.item():.4f}")
