"""Per-sample losses come down asynchronously; somebody forgot the event."""
import torch
from torch import nn

cuda = torch.cuda.is_available()
device = "cuda" if cuda else "cpu"


class Reader:
    def __init__(self, size):
        self.buffer = torch.empty(size, pin_memory=cuda)
        self.event = torch.cuda.Event() if cuda else None

    def stage(self, values):
        self.buffer.copy_(values.detach(), non_blocking=True)  # expect: PA206
        if cuda:
            self.event.record()

    def result(self):
        return self.buffer.sum().double()


torch.manual_seed(333)
model = nn.Linear(8, 8).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
reader = Reader(16)
total = 0.0
for step, x in enumerate(torch.randn(12, 16, 8)):
    x = x.to(device)
    each = (model(x) - x).square().mean(1)
    optimizer.zero_grad()
    each.mean().backward()
    optimizer.step()
    reader.stage(each)
    total += reader.result()
print(f"{float(total):.4f}")
