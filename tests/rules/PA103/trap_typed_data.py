"""What new_tensor and a typed constructor are given comes from the data; sizes are no numbers."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Linear(64, 10).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
data = [(torch.rand(8, 64), [i % 10] * 8, [float(i), 2.0]) for i in range(12)]
host = torch.zeros(1)

for x, labels, scales in data:
    x = x.to(device)
    scale = x.new_tensor(scales)
    y = torch.LongTensor(labels).to(device)
    kept = host.new_tensor([1.0, 2.0])
    loss = nn.functional.cross_entropy(model(x * scale.sum()), y) * kept.sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
