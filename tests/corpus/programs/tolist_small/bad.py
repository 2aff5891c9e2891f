"""Per-class correct counts are turned into a list at each evaluation batch."""
import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


class PerClass:
    def __init__(self, classes):
        self.hits = [0] * classes

    def update(self, pred, target):
        counts = torch.zeros(len(self.hits), dtype=torch.long, device=pred.device)
        counts.scatter_add_(0, target, (pred == target).long())
        for i, n in enumerate(counts.tolist()):  # expect: PA201
            self.hits[i] += n


@torch.inference_mode()
def evaluate(model, loader):
    metric = PerClass(4)
    for x, y in loader:
        metric.update(model(x.to(device)).argmax(1), y.to(device))
    return metric.hits


torch.manual_seed(75)
print(evaluate(nn.Linear(6, 4).to(device), [(torch.randn(10, 6), torch.randint(4, (10,))) for _ in range(14)]))
