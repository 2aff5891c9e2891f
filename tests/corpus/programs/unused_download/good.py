"""Outputs are downloaded for a metric that was commented out."""
import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


class Accuracy:
    def __init__(self):
        self.correct = torch.zeros((), device=device)
        self.total = 0

    def update(self, logits, target):
        self.correct += (logits.argmax(1) == target).sum()
        self.total += len(target)

    def compute(self):
        return self.correct.item() / self.total


def train(model, loader, metric):
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for x, y in loader:
        x, y = x.to(device), y.to(device)
        logits = model(x)
        loss = nn.functional.cross_entropy(logits, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        probs = logits.detach().softmax(1)
        metric.update(probs, y)
    return metric.compute()


torch.manual_seed(41)
loader = [(torch.randn(16, 10), torch.randint(5, (16,))) for _ in range(12)]
print("accuracy", train(nn.Linear(10, 5).to(device), loader, Accuracy()))
