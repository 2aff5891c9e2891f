"""Validation gathers its scores on the host, and takes them up again for the metric."""
import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


def auc(scores, labels):
    rank = torch.empty_like(scores)
    order = scores.argsort()
    rank[order] = torch.linspace(1, len(scores), len(scores), device=scores.device)
    positive = labels.sum()
    area = (rank * labels).sum() - positive * (positive + 1) / 2
    return area / (positive * (len(labels) - positive))


@torch.no_grad()
def validate(model, data, labels):
    scores = []
    for x in data:
        logits = model(x.to(device)).squeeze(-1)  # expect: PA110 info
        scores.append(logits.cpu())
    scores = torch.cat(scores).to(device)  # expect: PA111
    return auc(scores, labels)


torch.manual_seed(323)
model = nn.Linear(10, 1).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.2)
held_out, truth = torch.randn(4, 30, 10), (torch.rand(120) > 0.5).float()
truth = truth.to(device)
history = []
for epoch in range(4):
    for x in torch.randn(4, 16, 10):
        x = x.to(device)
        loss = nn.functional.softplus(-model(x).squeeze(-1) * x[:, 0]).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    history.append(validate(model, held_out, truth))
print(" ".join(f"{value.item():.3f}" for value in history))
