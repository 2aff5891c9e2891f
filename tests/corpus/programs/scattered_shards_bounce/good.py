# simulate: cuda:2
"""Gradients of two replicas are averaged by way of the host."""
import torch
from torch import nn

devices = ["cuda:0", "cuda:1"] if torch.cuda.device_count() > 1 else ["cpu", "cpu"]


class Replicas:
    def __init__(self, build):
        self.models = [build().to(d) for d in devices]
        self.models[1].load_state_dict(self.models[0].state_dict())
        self.optimizers = [torch.optim.SGD(m.parameters(), lr=0.1) for m in self.models]

    def backward(self, batch):
        for model, device, part in zip(self.models, devices, batch.chunk(2)):
            part = part.to(device)
            (model(part) - part).square().mean().backward()

    @torch.no_grad()
    def reduce(self):
        for a, b in zip(*(m.parameters() for m in self.models)):
            other = b.grad.to(a.device)
            a.grad.add_(other).div_(2)
            b.grad.copy_(a.grad)

    def step(self):
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad()


torch.manual_seed(140)
replicas = Replicas(lambda: nn.Linear(10, 10))
for batch in torch.randn(12, 8, 10):
    replicas.backward(batch)
    replicas.reduce()
    replicas.step()
print(f"{sum(p.sum().item() for p in replicas.models[0].parameters()):.4f}")
