"""Values are read in every step in all the ways there are."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Linear(64, 10).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
data = [(torch.randn(32, 64), torch.randint(10, (32,))) for _ in range(12)]

total = 0.0
history = []
for x, y in data:
    out = model(x.to(device))
    loss = nn.functional.cross_entropy(out, y.to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    total += loss.item()  # expect: PA201
    history.append(float(loss.sqrt()))  # expect: PA201
    print(f"loss {loss:.3f}")  # expect: PA201
    if loss > 1e6:  # expect: PA201
        loss = loss * 0
    assert torch.isfinite(loss)  # expect: PA201
    history.extend(out[0, :2].tolist())  # expect: PA201
