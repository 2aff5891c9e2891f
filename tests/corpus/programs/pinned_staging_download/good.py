"""Embeddings leave through a pinned staging buffer, with a copy that waits."""
import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


class Collector:
    def __init__(self, steps, shape):
        pin = torch.cuda.is_available()
        self.slots = [torch.empty(shape, pin_memory=pin) for _ in range(steps)]
        self.used = 0

    def add(self, tensor):
        self.slots[self.used].copy_(tensor, non_blocking=True)
        self.used += 1

    def finish(self):
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return torch.stack(self.slots)


@torch.no_grad()
def embed(model, batches):
    out = Collector(len(batches), (32, 600))
    for x in batches:
        out.add(model(x.to(device)))
    return out.finish()


torch.manual_seed(85)
model = nn.Sequential(nn.Linear(8, 600), nn.Tanh()).to(device)
print(f"{embed(model, list(torch.randn(12, 32, 8))).sum().item():.2f}")
