"""A model, its averaged copy and its statistics are moved in setup, parameter by parameter."""

import copy

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Sequential(*[nn.Linear(32, 32) for _ in range(8)], nn.Linear(32, 10))
average = copy.deepcopy(model)
model.to(device)
for parameter in average.parameters():
    parameter.data = parameter.data.to(device)
scales = [torch.rand(32).to(device) for _ in range(16)]
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
data = [(torch.randn(32, 32), torch.randint(10, (32,))) for _ in range(12)]

for x, y in data:
    loss = nn.functional.cross_entropy(model(x.to(device) * scales[0]), y.to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    with torch.no_grad():
        for mean, parameter in zip(average.parameters(), model.parameters()):
            mean.lerp_(parameter, 0.1)
