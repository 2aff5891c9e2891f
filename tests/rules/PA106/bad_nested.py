"""A nested batch is moved tensor by tensor by a recursive helper."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(64, 10)

    def forward(self, parts):
        return self.head(torch.stack(parts))


def move(batch):
    if isinstance(batch, dict):
        return {name: move(value) for name, value in batch.items()}
    if isinstance(batch, (list, tuple)):
        return [move(value) for value in batch]
    return batch.to(device)  # expect: PA106


class Trainer:
    def __init__(self):
        self.model = Net().to(device)
        self.optimizer = torch.optim.Adam(self.model.parameters())

    def fit(self, batches):
        for batch in batches:
            batch = move(batch)
            loss = nn.functional.cross_entropy(self.model(batch["x"]), torch.stack(batch["y"]))
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()


batches = [
    {
        "x": [torch.randn(64) for _ in range(16)],
        "y": [torch.tensor(i % 10) for i in range(16)],
    }
    for _ in range(12)
]
Trainer().fit(batches)
