"""One number written through a mask needs no count."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Linear(64, 64).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
for x in torch.randn(12, 32, 64, device=device):
    noisy = x.clone()
    noisy[torch.rand_like(x) < 0.1] = 1.0
    noisy.masked_fill_(noisy > 3, 3.0)
    noisy = torch.where(noisy < -3, -3.0, noisy)
    counts = torch.repeat_interleave(torch.arange(4), torch.tensor([1, 2, 3, 4]))
    loss = (model(noisy) - x).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
