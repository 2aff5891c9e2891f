"""A model that moves its inputs itself: they arrive from the host at every call."""
import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


class SelfMoving(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(11, 8), nn.ReLU(), nn.Linear(8, 3))

    @property
    def device(self):
        return next(self.parameters()).device

    def forward(self, x):
        return self.net(x)


def fit(model, batches):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for x, y in batches:
        logits = model(x.to(model.device))
        loss = nn.functional.cross_entropy(logits, y.to(model.device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


torch.manual_seed(103)
batches = [(torch.randn(7, 11), torch.randint(3, (7,))) for _ in range(12)]
print(f"{fit(SelfMoving().to(device), batches):.4f}")
