"""Many small tensors and modules are moved once, before the steps."""
import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"
torch.manual_seed(54)
experts = [nn.Linear(6, 6) for _ in range(12)]
for expert in experts:
    expert.to(device)
gates = [g.to(device) for g in torch.rand(12, 6)]
optimizer = torch.optim.SGD([p for e in experts for p in e.parameters()], lr=0.1)
for x in torch.randn(12, 4, 6):
    x = x.to(device)
    out = sum(e(x) * g for e, g in zip(experts, gates))
    loss = (out - x).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
