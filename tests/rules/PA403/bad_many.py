"""A state of many small entries is kept on the host in every step: one finding, not PA106 as well."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Sequential(*[nn.Linear(16, 16) for _ in range(5)]).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
xs = torch.randn(12, 32, 16, device=device)

for x in xs:
    loss = model(x).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    kept = {k: v.cpu() for k, v in model.state_dict().items()}  # expect: PA403
