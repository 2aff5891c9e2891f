"""Each evaluation batch is read, though no step ends there."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Linear(64, 10).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
data = [(torch.randn(32, 64), torch.randint(10, (32,))) for _ in range(12)]

def evaluate():
    model.eval()
    loss, correct = 0.0, 0
    with torch.no_grad():
        for x, y in data[:6]:
            x, y = x.to(device), y.to(device)
            out = model(x)
            loss += nn.functional.cross_entropy(out, y, reduction="sum").item()  # expect: PA201
            correct += out.argmax(1).eq(y).sum().item()  # expect: PA201
    model.train()
    return loss, correct


for epoch in range(2):
    for x, y in data * 2:
        loss = nn.functional.cross_entropy(model(x.to(device)), y.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(evaluate())
