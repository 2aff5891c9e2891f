"""The host uses a slice and the whole; and a small reduction of a small dimension."""

import torch
from torch import nn

device = "cuda"
torch.manual_seed(0)
model = nn.Linear(64, 4).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
x = torch.randn(512, 64, device=device)
total = torch.zeros(512, 4)
for _ in range(12):
    out = model(x)
    loss = out.square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    host = out.detach().cpu()
    best = host[0].max()
    total += host * best
    votes = (out.detach() * 2).cpu().argmax(1)
    array = (out.detach() * 3).cpu()
    row = array[0].numpy()
    everything = array.numpy()
print(total.mean(), votes.sum(), row.sum(), everything.sum())
