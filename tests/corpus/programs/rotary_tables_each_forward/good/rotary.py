import torch


def rotary_tables(length, dim, device):
    inverse = 1.0 / 10000 ** (torch.arange(0, dim, 2, device=device) / dim)
    angles = torch.outer(torch.arange(length, device=device), inverse).repeat(1, 2)
    return angles.cos(), angles.sin()


def apply_rotary(x, cos, sin):
    a, b = x.chunk(2, -1)
    return x * cos + torch.cat([-b, a], -1) * sin
