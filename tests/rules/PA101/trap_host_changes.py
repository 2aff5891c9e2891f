"""The host changes the values in between."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Linear(64, 10).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
data = [(torch.randn(32, 64), torch.randint(10, (32,))) for _ in range(12)]

teacher = nn.Linear(64, 10).to(device)
for x, _ in data:
    x = x.to(device)
    with torch.no_grad():
        soft = teacher(x).softmax(-1).cpu()
    soft = soft.numpy()
    soft[soft < 0.05] = 0.0
    loss = -(torch.from_numpy(soft).to(device) * model(x).log_softmax(-1)).sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
