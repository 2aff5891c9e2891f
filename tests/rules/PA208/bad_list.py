"""Columns picked by a list, by a host mask, and written by a host index: no upload is in sight."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Linear(64, 10).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)


class Features(nn.Module):
    def __init__(self):
        super().__init__()
        self.chosen = torch.arange(0, 64, 2)
        self.keep = torch.arange(64) % 3 > 0

    def forward(self, x):
        x = x.clone()
        x[:, self.chosen] = 0.0  # expect: PA208
        return torch.cat([x[:, [0, 3, 5]], x[:, self.keep]], dim=1)  # expect: PA208


features = Features()
head = nn.Linear(3 + 42, 10).to(device)
optimizer = torch.optim.SGD(head.parameters(), lr=0.01)
batches = torch.randn(12, 32, 64, device=device)
for x in batches:
    loss = head(features(x)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
