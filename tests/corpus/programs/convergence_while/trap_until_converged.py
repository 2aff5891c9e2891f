"""Sinkhorn normalisation runs until its error is small: the loop needs the value."""
import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


def sinkhorn(scores, tolerance=1e-2, most=20):
    p = scores.exp()
    error, turns = float("inf"), 0
    while error > tolerance and turns < most:
        p = p / p.sum(0, keepdim=True)
        p = p / p.sum(1, keepdim=True)
        error = (p.sum(0) - p.size(0) / p.size(1)).abs().max().item()  # expect: PA201 info
        turns += 1
    return p


torch.manual_seed(132)
model = nn.Linear(8, 5).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x in torch.randn(12, 5, 8):
    scores = model(x.to(device))
    with torch.no_grad():
        target = sinkhorn(scores)
    loss = -(target * scores.log_softmax(1)).sum(1).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
