"""functools.partial binds a host tensor of prior probabilities to the loss."""
from functools import partial

import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


def adjusted(logits, target, prior):
    return nn.functional.cross_entropy(
        logits + prior.log(),
        target,
    )


def run(criterion):
    torch.manual_seed(122)
    model = nn.Linear(6, 18).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for x, y in [(torch.randn(5, 6), torch.randint(18, (5,))) for _ in range(12)]:
        loss = criterion(model(x.to(device)), y.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


prior = torch.arange(1.0, 19.0) / 171
print(f"{run(partial(adjusted, prior=prior.to(device))):.4f}")
