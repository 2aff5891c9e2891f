"""Negative samples are picked by a Python list of row numbers."""
import random

import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


class SkipGram(nn.Module):
    def __init__(self, n=60, dim=10):
        super().__init__()
        self.inside, self.outside = nn.Parameter(torch.randn(n, dim)), nn.Parameter(torch.zeros(n, dim))

    def forward(self, centre, context, negatives):
        v = self.inside[centre]
        good = (v * self.outside[context]).sum(-1)
        bad = v @ self.outside[negatives].T
        return -(good.sigmoid().log().mean() + (1 - bad.sigmoid()).log().mean())


torch.manual_seed(145)
random.seed(145)
model = SkipGram().to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.2)
pairs = torch.randint(60, (12, 2, 16))
for pair in pairs:
    negatives = [random.randrange(60) for _ in range(20)]
    packed = torch.cat([pair.flatten(), torch.tensor(negatives)]).to(device)
    centre, context, negatives = packed[:16], packed[16:32], packed[32:]
    loss = model(centre, context, negatives)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
