"""Every parameter's gradient comes down for a log, in each step."""
import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


class GradientLog:
    def __init__(self, model):
        self.model = model
        self.rows = []

    def __call__(self):
        self.rows.append(torch.stack([p.grad.detach().flatten()[:4] for p in self.model.parameters()]).cpu())


torch.manual_seed(52)
layers = [m for _ in range(5) for m in (nn.Linear(8, 8), nn.Tanh())]
model = nn.Sequential(*layers).to(device)
log = GradientLog(model)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x in torch.randn(12, 4, 8):
    x = x.to(device)
    loss = (model(x) - x).square().mean()
    optimizer.zero_grad()
    loss.backward()
    log()
    optimizer.step()
print(len(log.rows), f"{sum(float(t.sum()) for row in log.rows for t in row):.5f}")
