"""The round trip goes through NumPy, without a change."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Linear(64, 10).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
data = [(torch.randn(32, 64), torch.randint(10, (32,))) for _ in range(12)]

for x, y in data:
    features = x.to(device) * 2
    host = features.detach().cpu().numpy()
    again = torch.from_numpy(host).to(device)  # expect: PA101
    loss = nn.functional.cross_entropy(model(again), y.to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
