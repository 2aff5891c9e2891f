"""Values of one storage that are equal by chance are different values."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Linear(64, 10).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
data = [(torch.randn(32, 64), torch.randint(10, (32,))) for _ in range(12)]

votes = []
counts = torch.tensor([3, 3, 5, 3], device=device)
for x, y in data:
    loss = nn.functional.cross_entropy(model(x.to(device)), y.to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    first, second = counts[0], counts[1]
    votes.append(first.item())  # expect: PA201
    votes.append(second.item())  # expect: PA201
