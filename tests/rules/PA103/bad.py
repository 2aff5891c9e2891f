"""Noise, an index, a constant and a mask are made on the host in every step."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Linear(64, 10).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
data = [(torch.randn(32, 64), torch.randint(10, (32,))) for _ in range(12)]

for x, y in data:
    noise = torch.randn(32, 64).to(device)  # expect: PA103
    index = torch.arange(32)
    index = index.to(device)  # expect: PA103
    scale = torch.tensor([0.5, 2.0] * 32)
    gain = torch.tensor([0.5, 1.0, 2.0, 4.0]).to(device)  # expect: PA103
    causal = torch.ones(64, 64).tril().to(device)  # expect: PA103
    out = model(((x.to(device) + noise) @ causal)[index]) * gain[0]
    loss = nn.functional.cross_entropy(out, y.to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
