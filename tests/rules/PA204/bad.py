"""A masked loss takes elements out, positions are looked up, labels become one-hot."""

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
    loss = F.cross_entropy(logits, y, reduction="none")[mask].mean()  # expect: PA204
    loss = loss + logits.masked_select(mask[:, None]).square().mean()  # expect: PA204
    hot = F.one_hot(y)  # expect: PA204
    loss = loss + (logits[:, : hot.shape[1]] * hot).mean()
    rows, = torch.where(mask)  # expect: PA204
    seen = y.unique()  # expect: PA204
    repeated = torch.repeat_interleave(x[:, 0], y)  # expect: PA204
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
