"""A gradient clipper works on the host, parameter by parameter."""
import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


class HostClipper:
    def __init__(self, limit):
        self.limit = limit

    def __call__(self, tensor):
        norm = tensor.norm(dim=1, keepdim=True)
        return torch.where(norm > self.limit, tensor * (self.limit / norm), tensor)


torch.manual_seed(154)
model, clip = nn.Linear(20, 12).to(device), HostClipper(0.05)
optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
for x, y in [(torch.randn(6, 20), torch.randint(12, (6,))) for _ in range(12)]:
    loss = nn.functional.cross_entropy(model(x.to(device)), y.to(device))
    optimizer.zero_grad()
    loss.backward()
    model.weight.grad = clip(model.weight.grad)
    optimizer.step()
print(f"{loss.item():.4f}")
