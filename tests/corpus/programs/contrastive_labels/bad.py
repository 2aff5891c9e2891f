"""SimCLR's loss makes eye and arange on the host inside a decorated function."""
import functools

import torch
import torch.nn.functional as F
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


def scaled(factor):
    def wrap(fn):
        @functools.wraps(fn)
        def inner(*args, **kwargs):
            return factor * fn(*args, **kwargs)
        return inner
    return wrap


@scaled(0.5)
def info_nce(features, temperature=0.1):
    n = features.shape[0] // 2
    features = F.normalize(features, dim=1)
    similarity = features @ features.T / temperature
    itself = torch.eye(2 * n).to(features.device)  # expect: PA103
    similarity = similarity - 1e9 * itself
    partner = torch.arange(2 * n).roll(n).to(features.device)  # expect: PA103
    return F.cross_entropy(similarity, partner)


torch.manual_seed(26)
encoder = nn.Sequential(nn.Linear(12, 24), nn.ReLU(), nn.Linear(24, 8)).to(device)
optimizer = torch.optim.SGD(encoder.parameters(), lr=0.03, momentum=0.9)
views = torch.randn(12, 16, 12)
for pair in views:
    loss = info_nce(encoder(pair.to(device)))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
