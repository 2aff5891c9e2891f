"""A guard against bad losses: assert and if, each a read."""
import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


class Skipper:
    def __init__(self, limit):
        self.limit = limit
        self.skipped = 0

    def too_large(self, loss):
        if loss > self.limit:  # expect: PA201 info
            self.skipped += 1
            return True
        return False


torch.manual_seed(71)
model = nn.Linear(11, 3).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
skipper = Skipper(100.0)
for x, y in [(torch.randn(7, 11), torch.randint(3, (7,))) for _ in range(13)]:
    logits = model(x.to(device))
    assert torch.isfinite(logits).all(), "not finite"  # expect: PA201
    loss = nn.functional.cross_entropy(logits, y.to(device))
    optimizer.zero_grad()
    loss.backward()
    if skipper.too_large(loss):
        continue
    optimizer.step()
print(f"{loss.item():.4f}")
