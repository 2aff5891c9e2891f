import torch


def rotary_tables(length, dim, device):
    inverse = 1.0 / 10000 ** (torch.arange(0, dim, 2) / dim)
    angles = torch.outer(torch.arange(length), inverse).repeat(1, 2)
    cos = angles.cos().to(device)  # expect: PA102
    sin = angles.sin().to(device)  # expect: PA102
    return cos, sin


def apply_rotary(x, cos, sin):
    a, b = x.chunk(2, -1)
    return x * cos + torch.cat([-b, a], -1) * sin
