"""A staging buffer on the device is filled twice a step; the first fill is never read."""
import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


class Stager:
    def __init__(self, shape):
        self.buffer = torch.zeros(shape, device=device)

    def reset(self, template):
        self.buffer.copy_(template)

    def load(self, batch):
        self.buffer.copy_(batch)
        return self.buffer


torch.manual_seed(42)
stager = Stager((8, 14))
model = nn.Linear(14, 14).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
templates = list(torch.rand(12, 8, 14))
for template, batch in zip(templates, torch.randn(12, 8, 14)):
    stager.reset(template)
    prior = stager.buffer.mean()
    x = stager.load(batch)
    loss = (model(x) - x).square().mean() + (model.bias.mean() - prior).square()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
