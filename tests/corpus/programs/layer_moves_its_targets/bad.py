"""The loss module is handed host targets and moves them itself, call after call."""
import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


class SmoothedLoss(nn.Module):
    def __init__(self, classes, eps=0.1):
        super().__init__()
        self.eps = eps
        self.register_buffer("prior", torch.full((classes,), 1.0 / classes))

    def forward(self, logits, target):
        target = target.to(self.prior.device)  # expect: PA303 info
        nll = nn.functional.cross_entropy(logits, target)
        return (1 - self.eps) * nll - self.eps * (logits.log_softmax(-1) * self.prior).sum(-1).mean()


torch.manual_seed(147)
model, criterion = nn.Linear(9, 6).to(device), SmoothedLoss(6).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x, y in [(torch.randn(8, 9), torch.randint(6, (8,))) for _ in range(12)]:
    loss = criterion(model(x.to(device)), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
