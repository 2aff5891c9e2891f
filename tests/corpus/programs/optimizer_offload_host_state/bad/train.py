"""A hand-written momentum optimizer keeps its buffers on the host."""
import torch
from optim import HostMomentum
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"

torch.manual_seed(100)
model = nn.Sequential(nn.Linear(10, 12), nn.ReLU(), nn.Linear(12, 2)).to(device)
optimizer = HostMomentum(model.parameters(), lr=0.05)
for x, y in [(torch.randn(8, 10), torch.randint(2, (8,))) for _ in range(12)]:
    loss = nn.functional.cross_entropy(model(x.to(device)), y.to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()  # expect: PA301
print(f"{loss.item():.4f}")
