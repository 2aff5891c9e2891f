"""The stream is waited for before the host reads."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Linear(64, 10).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
xs = torch.randn(12, 32, 64, device=device)

right = 0
target = torch.randint(10, (32,))
for x in xs:
    out = model(x)
    guess = out.argmax(-1).to("cpu", non_blocking=True)
    loss = out.square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if torch.cuda.is_available():
        torch.cuda.current_stream().synchronize()  # expect: PA205 info
    right += (guess == target).sum()
