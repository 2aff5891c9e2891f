"""Once in twelve steps, and outside the steps."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Linear(64, 10).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
xs = torch.randn(12, 32, 64, device=device)
ys = torch.randint(10, (12, 32), device=device)
classes = ys.unique()
for epoch in range(4):
    for x, y in zip(xs, ys):
        loss = nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    wrong = (model(xs[0]).argmax(1) != ys[0]).nonzero()  # expect: PA204 info
