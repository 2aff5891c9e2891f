"""The same in fixed sizes."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Linear(64, 10).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
xs = torch.randn(12, 32, 64, device=device)
ys = torch.randint(10, (12, 32), device=device)
for x, y in zip(xs, ys):
    logits = model(x)
    mask = y > 2
    loss = (F.cross_entropy(logits, y, reduction="none") * mask).sum() / mask.sum()
    hot = F.one_hot(y, num_classes=10)
    loss = loss + (logits * hot).mean()
    repeated = torch.repeat_interleave(x[:, 0], 2)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
