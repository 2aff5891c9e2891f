"""Mixup draws its permutation with randperm on the host."""
import random

import torch
import torch.nn.functional as F
from torch import nn


def mixup(x, y, alpha=0.4):
    lam = random.betavariate(alpha, alpha)
    index = torch.randperm(x.size(0)).cuda() if x.is_cuda else torch.randperm(x.size(0))  # expect: PA103
    return lam * x + (1 - lam) * x[index], y, y[index], lam


def main(seed=27):
    torch.manual_seed(seed)
    random.seed(seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    net = nn.Linear(18, 6).to(device)
    opt = torch.optim.SGD(net.parameters(), lr=0.1)
    batches = [(torch.randn(10, 18), torch.randint(6, (10,))) for _ in range(12)]
    for x, y in batches:
        x, ya, yb, lam = mixup(x.to(device), y.to(device))
        out = net(x)
        loss = lam * F.cross_entropy(out, ya) + (1 - lam) * F.cross_entropy(out, yb)
        opt.zero_grad()
        loss.backward()
        opt.step()
    return loss


print(f"{main().item():.4f} (seed 27)")
