"""Attention entropy: the whole map is downloaded to NumPy and averaged there."""
import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


class Monitor:
    def __init__(self):
        self.values = []

    def __call__(self, attention):
        self.values.append(attention.detach().cpu().numpy().mean())  # expect: PA105


def main():
    torch.manual_seed(48)
    monitor = Monitor()
    attn = nn.MultiheadAttention(16, 2, batch_first=True).to(device)
    optimizer = torch.optim.Adam(attn.parameters(), lr=1e-3)
    for x in torch.randn(12, 8, 16, 16):
        x = x.to(device)
        out, weights = attn(x, x, x)
        monitor(weights)
        loss = (out - x).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"{sum(float(v) for v in monitor.values) / 12:.4f}")


main()
