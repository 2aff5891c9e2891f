"""Host tensors without dimensions are plain numbers to the device: nothing is copied."""

import torch

import placeaudit

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"


class Weights:
    def __init__(self, coefs):
        self.coefs = coefs

    def __mul__(self, other):
        return Weights({k: v * other.coefs[k] for k, v in self.coefs.items()})


placeaudit.register_vector(Weights, operations=("__mul__",))

model = torch.nn.Linear(256, 64).to(device)
rates = Weights({k: torch.tensor(0.01) for k, _ in model.named_parameters()})
for x in torch.randn(12, 32, 256, device=device):
    model.zero_grad()
    model(x).square().mean().backward()
    gradients = Weights({k: p.grad for k, p in model.named_parameters()})
    update = gradients * rates
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter -= update.coefs[name]
