"""A velocity on the host meets gradients on the device in every step, in both orders."""

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
velocity = Weights({k: torch.zeros(p.shape) for k, p in model.named_parameters()})
ahead = Weights({k: torch.randn(p.shape) for k, p in model.named_parameters()})
for x in torch.randn(12, 32, 256, device=device):
    model.zero_grad()
    model(x).square().mean().backward()
    gradients = Weights({k: p.grad for k, p in model.named_parameters()})
    velocity = velocity * 0.9 + gradients  # expect: PA302
    gradients = gradients + ahead  # expect: PA302
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter -= 0.01 * gradients.coefs[name]
print(sum(v.double().sum().item() for v in velocity.coefs.values()))
