"""Scores for a prioritised sampler are fetched without waiting and used on the host at once."""
import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


class PrioritySampler:
    def __init__(self, n):
        self.priority = torch.ones(n)

    def draw(self, k):
        return self.priority.topk(k).indices

    def update(self, index, errors):
        errors = errors.detach().abs().to("cpu")
        self.priority[index] = errors * 0.5


torch.manual_seed(143)
data, target = torch.randn(200, 6), torch.randn(200)
sampler, model = PrioritySampler(200), nn.Linear(6, 1).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
for _ in range(12):
    index = sampler.draw(32)
    errors = model(data[index].to(device)).squeeze(1) - target[index].to(device)
    loss = errors.square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    sampler.update(index, errors)
print(f"{sampler.priority.sum().item():.4f}")
