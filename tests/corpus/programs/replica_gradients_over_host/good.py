# simulate: cuda:2
"""Data parallelism by hand: the second replica's gradients come over the host."""
import copy

import torch
from torch import nn

many = torch.cuda.device_count() > 1
first, second = ("cuda:0", "cuda:1") if many else ("cpu", "cpu")


class Replicated:
    def __init__(self, model):
        self.main = model.to(first)
        self.other = copy.deepcopy(model).to(second)
        self.optimizer = torch.optim.SGD(self.main.parameters(), lr=0.05)

    def step(self, x, y):
        half = len(x) // 2
        self.optimizer.zero_grad()
        self.other.zero_grad()
        loss = nn.functional.mse_loss(self.main(x[:half].to(first)), y[:half].to(first))
        loss.backward()
        nn.functional.mse_loss(self.other(x[half:].to(second)), y[half:].to(second)).backward()
        for p, q in zip(self.main.parameters(), self.other.parameters()):
            p.grad.add_(q.grad.to(p.device)).div_(2)
        self.optimizer.step()
        with torch.no_grad():
            for p, q in zip(self.main.parameters(), self.other.parameters()):
                q.copy_(p)
        return loss


torch.manual_seed(315)
trainer = Replicated(nn.Linear(20, 20))
for x, y in zip(torch.randn(12, 8, 20), torch.randn(12, 8, 20)):
    loss = trainer.step(x, y)
print(f"{loss.item():.4f}")
