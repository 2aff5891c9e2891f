"""Numbers, slices, host scalars and ellipses upload nothing; a value assigned is no index."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Linear(64, 10).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

images = torch.randn(12, 64, 64, device=device)
targets = torch.zeros(64, device=device, dtype=torch.int64)
offsets = torch.randint(10, (12, 64))
for i in range(12):
    which = torch.tensor(i)
    x = images[i] + images[which, ..., :] + images[-1, 0:64, None].squeeze(1)
    row = 3
    targets[0:64] = offsets[i]
    x[row] = 1.0
    loss = nn.functional.cross_entropy(model(x), targets)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
