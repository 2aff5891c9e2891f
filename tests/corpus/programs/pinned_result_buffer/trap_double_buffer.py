"""Two pinned buffers take turns; the one that is read was waited for by its event."""
import torch
from torch import nn

cuda = torch.cuda.is_available()
device = "cuda" if cuda else "cpu"


class Pipelined:
    def __init__(self, shape):
        self.slots = [torch.zeros(shape, pin_memory=cuda) for _ in range(2)]
        self.events = [torch.cuda.Event() if cuda else None for _ in range(2)]
        self.pushed, self.total = 0, 0.0

    def push(self, result):
        if self.pushed:
            self._take((self.pushed - 1) % 2)
        slot = self.pushed % 2
        self.slots[slot].copy_(result, non_blocking=True)
        if cuda:
            self.events[slot].record()
        self.pushed += 1

    def _take(self, slot):
        if cuda:
            self.events[slot].synchronize()
        self.total += self.slots[slot].sum().item()

    def finish(self):
        self._take((self.pushed - 1) % 2)
        return self.total


torch.manual_seed(95)
model, queue = nn.Linear(6, 20).to(device), Pipelined((4, 20))
with torch.no_grad():
    for request in torch.randn(12, 4, 6):
        queue.push(model(request.to(device)))
print(f"{queue.finish():.4f}")
