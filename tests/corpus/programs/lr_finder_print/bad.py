"""Prints a parameter's norm each step."""
import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


class Verbose:
    def __init__(self, quiet):
        self.quiet = quiet

    def after_step(self, model):
        norm = model.weight.detach().norm()
        if not self.quiet:
            print("norm", norm)  # expect: PA201


torch.manual_seed(117)
model = nn.Linear(4, 4).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
callback = Verbose(quiet=False)
for x in torch.randn(12, 3, 4):
    loss = model(x.to(device)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    callback.after_step(model)
print(f"{loss.item():.5f}")
