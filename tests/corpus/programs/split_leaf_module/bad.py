"""A leaf module whose buffer stayed on the host when its weight moved."""
import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


class ScaledLinear(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(width, width) / width)
        self.register_buffer("scale", torch.rand(width, width))

    def place(self, device):
        self.weight.data = self.weight.data.to(device)
        return self

    def forward(self, x):
        return x @ (self.weight * self.scale.to(x.device))  # expect: PA102


torch.manual_seed(102)
layer = ScaledLinear(9).place(device)
optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
for x in torch.randn(12, 6, 9):
    x = x.to(device)
    loss = (layer(x) - x).square().mean()  # expect: PA303 info
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
