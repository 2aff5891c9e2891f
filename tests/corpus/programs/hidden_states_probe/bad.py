"""A probe collects every layer's features while the backbone trains."""
import torch
from torch import nn

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Backbone(nn.Module):
    def __init__(self, depth=9, dim=12):
        super().__init__()
        self.blocks = nn.ModuleList(nn.Linear(dim, dim) for _ in range(depth))

    def forward(self, x):
        states = []
        for block in self.blocks:
            x = x + block(x).tanh()
            states.append(x)
        return x, tuple(states)


class Probe:
    def __init__(self):
        self.rows = []

    def __call__(self, states):
        host = [state.detach().cpu() for state in states]  # expect: PA106
        self.rows.append([(h.mean() + h.std()) for h in host])


torch.manual_seed(339)
model, probe = Backbone().to(device), Probe()
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
for x in torch.randn(12, 5, 12):
    x = x.to(device)
    out, states = model(x)
    loss = (out - x.flip(-1)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    probe(states)
print(f"{sum(sum(row) for row in probe.rows).item():.4f}")
