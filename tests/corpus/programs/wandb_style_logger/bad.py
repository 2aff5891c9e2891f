"""A logger's dictionary is filled with item() in each step; a flush comes every 50."""
import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


class Metrics:
    def __init__(self, every):
        self.every, self.values, self.flushed = every, {}, []

    def update(self, **values):
        for name, value in values.items():
            self.values.setdefault(name, []).append(value)

    def flush(self, step):
        if step % self.every == 0:
            self.flushed.append({k: float(sum(v)) / len(v) for k, v in self.values.items()})


torch.manual_seed(169)
model, metrics = nn.Linear(8, 3).to(device), Metrics(50)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step, (x, y) in enumerate([(torch.randn(6, 8), torch.randint(3, (6,))) for _ in range(12)], 1):
    logits = model(x.to(device))
    loss = nn.functional.cross_entropy(logits, y.to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    metrics.update(
        loss=loss.item(),  # expect: PA201
        entropy=-(logits.softmax(-1) * logits.log_softmax(-1)).sum(-1).mean().item(),  # expect: PA201
    )
metrics.flush(50)
print({k: round(v, 4) for k, v in metrics.flushed[0].items()})
