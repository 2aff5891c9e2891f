"""A log line reads two device values in one expression."""
import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"
torch.manual_seed(116)


class MultiTask(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk, self.a, self.b = nn.Linear(8, 8), nn.Linear(8, 3), nn.Linear(8, 1)

    def forward(self, x):
        h = torch.relu(self.trunk(x))
        return self.a(h), self.b(h).squeeze(-1)


model = MultiTask().to(device)
optimizer = torch.optim.Adam(model.parameters())
log = {"a": 0.0, "b": 0.0}
data = [(torch.randn(6, 8), torch.randint(3, (6,)), torch.randn(6)) for _ in range(12)]
for x, ya, yb in data:
    pa, pb = model(x.to(device))
    la = nn.functional.cross_entropy(pa, ya.to(device))
    lb = nn.functional.mse_loss(pb, yb.to(device))
    optimizer.zero_grad()
    (la + lb).backward()
    optimizer.step()
    log["a"] += la.item(); log["b"] += lb.item()  # expect: PA201
print(" ".join(f"{k} {float(v):.4f}" for k, v in log.items()))
