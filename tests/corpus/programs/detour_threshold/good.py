"""Pseudo labels: the confidence threshold is applied to a host copy in place."""
import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


def pseudo(model, x, threshold):
    with torch.no_grad():
        soft = model(x).softmax(-1)
    soft[soft < threshold] = 0.0
    return soft


def train(model, stream):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for x in stream:
        x = x.to(device)
        target = pseudo(model, x, 0.15)
        loss = -(target * model(x).log_softmax(-1)).sum(-1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


torch.manual_seed(67)
print(f"{train(nn.Linear(12, 10).to(device), list(torch.randn(12, 8, 12))):.4f}")
