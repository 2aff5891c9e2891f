"""Batch inference whose outputs are tiny: they are tensors all the same."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Linear(64, 10).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
data = [(torch.randn(32, 64), torch.randint(10, (32,))) for _ in range(12)]

head = nn.Linear(64, 3).to(device)


def predictions():
    with torch.inference_mode():
        for x, _ in data:
            yield head(x[:4].to(device)).cpu().numpy()


kept = [row for out in predictions() for row in out]
