"""Results are gathered in a dict, as inference servers do, and turned into arrays."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Linear(64, 10).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
xs = torch.randn(12, 32, 64, device=device)


def host(results):
    down = {k: v.to("cpu", non_blocking=True) for k, v in results.items()}  # expect: PA206 error
    return down["top"].numpy().max() + float(down["loss"])


def save(out):
    landing = torch.empty(out.shape, pin_memory=torch.cuda.is_available())
    landing.copy_(out, non_blocking=True)  # expect: PA206 error
    return landing.numpy().mean()


values = []
for x in xs:
    out = model(x)
    loss = out.square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    values.append(host({"top": out.detach().amax(-1), "loss": loss.detach()}))
    values.append(save(out.detach()))
