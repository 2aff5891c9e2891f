"""A thread uploads the next batches while the main thread trains."""
import queue
import threading

import torch
from torch import nn

cuda = torch.cuda.is_available()
device = "cuda" if cuda else "cpu"


class Prefetch:
    def __init__(self, batches, depth=2):
        self.items = queue.Queue(maxsize=depth)
        self.thread = threading.Thread(target=self._fill, args=(batches,), daemon=True)
        self.thread.start()

    def _fill(self, batches):
        try:
            for x, y in batches:
                if cuda:
                    x, y = x.pin_memory(), y.pin_memory()
                self.items.put((x.to(device, non_blocking=True), y.to(device, non_blocking=True)))
        finally:
            self.items.put(None)

    def __iter__(self):
        while (item := self.items.get()) is not None:
            yield item
        self.thread.join()


torch.manual_seed(316)
batches = [(torch.randn(8, 12), torch.randint(3, (8,))) for _ in range(14)]
model = nn.Linear(12, 3).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x, y in Prefetch(batches):
    loss = nn.functional.cross_entropy(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
