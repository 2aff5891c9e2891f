"""GradScaler reads inf flags and gradient clipping a norm: theirs, not this line's."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Linear(64, 10).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
data = [(torch.randn(32, 64), torch.randint(10, (32,))) for _ in range(12)]

scaler = torch.amp.GradScaler("cuda", enabled=torch.cuda.is_available())
for x, y in data:
    with torch.autocast(device, dtype=torch.float16, enabled=torch.cuda.is_available()):
        loss = nn.functional.cross_entropy(model(x.to(device)), y.to(device))
    optimizer.zero_grad()
    scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    scaler.step(optimizer)  # expect: PA201 info
    scaler.update()
