"""LoRA adapters with a mask over ranks that never became part of the module."""
import math

import torch
from torch import nn

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class LoRALinear(nn.Module):
    def __init__(self, base, rank=24, alpha=16):
        super().__init__()
        self.base = base.requires_grad_(False)
        self.down = nn.Parameter(torch.empty(rank, base.in_features))
        self.up = nn.Parameter(torch.zeros(base.out_features, rank))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))
        scale = (alpha / rank) * torch.linspace(1.0, 0.1, rank)
        self.register_buffer("scale", scale)

    def forward(self, x):
        hidden = (x @ self.down.T) * self.scale
        return self.base(x) + hidden @ self.up.T


def add_adapters(model):
    for name, child in model.named_children():
        if isinstance(child, nn.Linear):
            setattr(model, name, LoRALinear(child))
        else:
            add_adapters(child)
    return model


torch.manual_seed(320)
model = add_adapters(nn.Sequential(nn.Linear(14, 30), nn.GELU(), nn.Linear(30, 14))).to(device)
trained = [p for p in model.parameters() if p.requires_grad]
optimizer = torch.optim.AdamW(trained, lr=5e-3)
for x in torch.randn(12, 6, 14):
    x = x.to(device)
    loss = nn.functional.mse_loss(model(x), x)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
