"""Read a step later, after the device was waited for; shapes and re-uploads read nothing."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Linear(64, 10).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
xs = torch.randn(12, 32, 64, device=device)

previous = None
history = []
total = torch.zeros(())
for x in xs:
    out = model(x)
    loss = out.square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if torch.cuda.is_available():
        torch.cuda.synchronize()  # expect: PA205 info
    if previous is not None:
        total += previous.sum()
    previous = out.detach().to("cpu", non_blocking=True)
    parked = out.detach()[:1].to("cpu", non_blocking=True)
    rows = parked.shape[0]
    history.append(parked)
if torch.cuda.is_available():
    torch.cuda.synchronize()
print(torch.cat(history).sum() + total)
