"""One sum, of what was trained with what was kept: it recurs nowhere."""

import torch

import placeaudit

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"


class Weights:
    """Named tensors that add up as one; the left one's device decides."""

    def __init__(self, coefs):
        self.coefs = coefs

    def __add__(self, other):
        return Weights({k: v + other.coefs[k].to(v.device) for k, v in self.coefs.items()})

    def __mul__(self, number):
        return Weights({k: v * number for k, v in self.coefs.items()})


placeaudit.register_vector(Weights)
model = torch.nn.Linear(256, 64).to(device)
before = Weights({k: p.detach().clone() for k, p in model.named_parameters()})
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
for x in torch.randn(12, 32, 256, device=device):
    optimizer.zero_grad()
    model(x).square().mean().backward()
    optimizer.step()
kept = Weights({k: torch.zeros(p.shape) for k, p in model.named_parameters()})
mean = (before + kept) * 0.5  # expect: PA302 info
