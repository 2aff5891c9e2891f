"""A pinned result buffer is filled asynchronously and summed on the host right away."""
import torch
from torch import nn

cuda = torch.cuda.is_available()
device = "cuda" if cuda else "cpu"


class ResultQueue:
    def __init__(self, shape):
        self.buffer = torch.zeros(shape)
        self.total = 0.0

    def push(self, result):
        self.buffer.copy_(result)
        self.total += self.buffer.sum().item()


@torch.no_grad()
def serve(model, requests):
    queue = ResultQueue((4, 20))
    for request in requests:
        queue.push(model(request.to(device)))
    return queue.total


torch.manual_seed(95)
print(f"{serve(nn.Linear(6, 20).to(device), torch.randn(12, 4, 6)):.4f}")
