"""Gradient accumulation, with the micro-batch losses read one by one."""
import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


def micro_batches(x, y, parts):
    yield from zip(x.chunk(parts), y.chunk(parts))


def optimise(model, optimizer, x, y, parts=3):
    optimizer.zero_grad()
    values = []
    for xs, ys in micro_batches(x, y, parts):
        loss = nn.functional.cross_entropy(model(xs), ys) / parts
        loss.backward()
        values.append(loss.item())  # expect: PA201
    optimizer.step()
    return sum(values)


torch.manual_seed(115)
model = nn.Linear(8, 4).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
data = [(torch.randn(9, 8), torch.randint(4, (9,))) for _ in range(12)]
history = [optimise(model, optimizer, x.to(device), y.to(device)) for x, y in data]
print(f"{sum(float(h) for h in history):.4f}")
