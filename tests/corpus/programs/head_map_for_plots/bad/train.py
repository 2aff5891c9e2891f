"""Attention maps are collected for a figure while training."""
import torch
from plots import AttentionPlot
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


class SelfAttention(nn.Module):
    def __init__(self, dim=16, heads=4):
        super().__init__()
        self.heads, self.qkv, self.out = heads, nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

    def forward(self, x):
        b, t, d = x.shape
        q, k, v = self.qkv(x).view(b, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        weights = (q @ k.transpose(-1, -2) / (d // self.heads) ** 0.5).softmax(-1)
        return self.out((weights @ v).transpose(1, 2).reshape(b, t, d)), weights


torch.manual_seed(330)
layer, plot = SelfAttention().to(device), AttentionPlot()
optimizer = torch.optim.Adam(layer.parameters(), lr=1e-3)
for x in torch.randn(12, 4, 16, 16):
    x = x.to(device)
    out, weights = layer(x)
    loss = (out - x.roll(1, 1)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    plot.add(weights)
print(f"{plot.figure():.4f}")
