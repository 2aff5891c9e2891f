"""Attention is taken down once for the plot and once, as NumPy, for the report."""
import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


class Recorder:
    def __init__(self):
        self.plots, self.tables = [], []

    def hook(self, module, args, output):
        weights = output[1].detach()
        self.plots.append(weights.cpu())
        self.tables.append(weights.cpu().numpy())  # expect: PA109


torch.manual_seed(141)
attention = nn.MultiheadAttention(8, 2, batch_first=True).to(device)
recorder = Recorder()
handle = attention.register_forward_hook(recorder.hook)
optimizer = torch.optim.SGD(attention.parameters(), lr=0.1)
try:
    for x in torch.randn(12, 2, 6, 8):
        x = x.to(device)
        out, _ = attention(x, x, x)
        loss = (out - x).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
finally:
    handle.remove()
print(f"{sum(float(t.sum()) for t in recorder.tables) + sum(p.sum().item() for p in recorder.plots):.3f}")
