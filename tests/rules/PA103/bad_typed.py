"""Constants of a normalization are made anew in every step, on the host, whatever they follow."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Linear(48, 10).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
data = [(torch.rand(8, 3, 16), torch.randint(10, (8,))) for _ in range(12)]


def normalize(batch):
    mean = batch.new_tensor([0.485, 0.456, 0.406])  # expect: PA103
    return batch - mean.view(-1, 1)


def weights():
    return torch.FloatTensor([1.0, 2.0] * 5).to(device)  # expect: PA103


for x, y in data:
    out = model(normalize(x.to(device)).flatten(1))
    loss = nn.functional.cross_entropy(out, y.to(device), weight=weights())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
