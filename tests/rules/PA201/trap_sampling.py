"""A distribution that checks nothing still waits when it draws: no option avoids that."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Linear(64, 10).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
data = [(torch.randn(32, 64), torch.randint(10, (32,))) for _ in range(12)]

for x, y in data:
    logits = model(x.to(device))
    dist = torch.distributions.Categorical(logits=logits, validate_args=False)
    action = dist.sample()  # expect: PA201 info
    loss = -dist.log_prob(action).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
