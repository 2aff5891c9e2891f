"""Features are made by a generator that hands them over on the host."""
import numpy as np
import torch
from torch import nn

torch.manual_seed(3)
device = "cuda" if torch.cuda.is_available() else "cpu"
backbone = nn.Sequential(nn.Linear(30, 40), nn.Tanh()).to(device)
head = nn.Linear(40, 5).to(device)
optimizer = torch.optim.AdamW(head.parameters(), lr=1e-3)
samples = list(zip(torch.randn(15, 12, 30), torch.randint(5, (15, 12))))


def features(pairs):
    backbone.eval()
    for x, y in pairs:
        with torch.inference_mode():
            f = backbone(x.to(device))
        yield f.to("cpu"), y


def quantise(f):
    """Product quantisation by a host library: nothing that a device offers."""
    codes = [int(round(float(v) * 8)) for v in f.flatten()]
    return np.asarray(codes, dtype=np.float32).reshape(f.shape) / 8


for f, y in features(samples):
    f = torch.from_numpy(quantise(f)).to(device)
    y = y.to(device)
    loss = nn.functional.cross_entropy(head(f), y)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
