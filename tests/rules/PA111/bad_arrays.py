"""Arithmetic of NumPy's arrays that tensors have, too."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Linear(64, 10).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)


def standard(out):
    host = out.detach().cpu().numpy()
    host = (host - host.mean(0)) / (host.std(0) + 1e-5)
    return torch.from_numpy(host).to(out.device)  # expect: PA111


for x in torch.randn(12, 8, 64):
    out = model(x.to(device))
    loss = (out - standard(out)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
