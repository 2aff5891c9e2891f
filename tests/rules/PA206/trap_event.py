"""An event is waited for, in a helper; another wait comes on the way; a query loop polls."""

import time

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Linear(64, 10).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
xs = torch.randn(12, 32, 64, device=device)

cuda = torch.cuda.is_available()


class Event:
    def __init__(self):
        self.event = torch.cuda.Event() if cuda else None

    def record(self):
        if self.event is not None:
            self.event.record()

    def finish(self):
        if self.event is not None:
            self.event.synchronize()  # expect: PA205 info


def download(out, event):
    host = out.to("cpu", non_blocking=True)
    event.record()
    return host


target = torch.randint(10, (32,))
event = Event()
for x in xs:
    out = model(x).detach()
    guess = out.argmax(-1).to("cpu", non_blocking=True)
    event.record()
    loss = model(x).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    event.finish()
    right = (guess == target).sum()
    other = download(out, event)
    event.finish()
    total = other.sum()
    third = (out * 2).to("cpu", non_blocking=True)
    top = out.max().item()  # expect: PA201
    low = third.min() - top
    fourth = (out * 3).to("cpu", non_blocking=True)
    while event.event is not None and not event.event.query():
        time.sleep(0)
    total = fourth.sum()
