"""Everything is made where it is used."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Linear(64, 10).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
data = [(torch.randn(32, 64), torch.randint(10, (32,))) for _ in range(12)]

gain = torch.tensor([0.5, 1.0, 2.0, 4.0]).to(device)
causal = torch.ones(64, 64, device=device).tril()
for x, y in data:
    noise = torch.randn(32, 64, device=device)
    index = torch.arange(32, device=device)
    out = model(((x.to(device) + noise) @ causal)[index]) * gain[0]
    loss = nn.functional.cross_entropy(out, y.to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
