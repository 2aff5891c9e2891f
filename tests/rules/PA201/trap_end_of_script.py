"""A script without steps reads one value, when it has computed everything."""

import torch

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
points = torch.randn(512, 3, device=device)
distances = torch.cdist(points, points)
print(f"mean distance {distances.mean().item():.3f}")


def spread(sample):
    return float(sample.std())  # expect: PA201


spread(distances)
