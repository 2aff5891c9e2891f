"""A backward hook rescales a gradient on the host."""
import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


def host_normalise(grad):
    return grad / (grad.norm() + 1e-6)


torch.manual_seed(166)
encoder, head = nn.Linear(10, 16).to(device), nn.Linear(16, 4).to(device)
optimizer = torch.optim.SGD([*encoder.parameters(), *head.parameters()], lr=0.1)
for x, y in [(torch.randn(6, 10), torch.randint(4, (6,))) for _ in range(12)]:
    features = encoder(x.to(device))
    features.register_hook(host_normalise)
    loss = nn.functional.cross_entropy(head(features), y.to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
