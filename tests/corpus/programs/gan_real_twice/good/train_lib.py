from pathlib import Path

import torch
from torch import nn
from nets import Discriminator, Generator

device = "cuda" if torch.cuda.is_available() else "cpu"


def move(tensor):
    return tensor.to(device)


def d_step(gen, disc, opt, real, z):
    opt.zero_grad()
    loss = nn.functional.softplus(-disc(real)).mean() + nn.functional.softplus(disc(gen(z).detach())).mean()
    loss.backward()
    opt.step()
    return loss.detach()


def g_step(gen, disc, opt, real, z):
    opt.zero_grad()
    matching = (gen(z).mean(0) - real.mean(0)).square().sum()
    loss = nn.functional.softplus(-disc(gen(z))).mean() + 0.1 * matching
    loss.backward()
    opt.step()
    return loss.detach()


def main():
    torch.manual_seed(7)
    gen, disc = Generator().to(device), Discriminator().to(device)
    opt_d = torch.optim.Adam(disc.parameters(), lr=2e-4, betas=(0.5, 0.999))
    opt_g = torch.optim.Adam(gen.parameters(), lr=2e-4, betas=(0.5, 0.999))
    for real in torch.randn(12, 16, 32):
        z = torch.randn(16, 8, device=device)
        real = move(real)
        d = d_step(gen, disc, opt_d, real, z)
        g = g_step(gen, disc, opt_g, real, z)
    print(f"d {d.item():.4f} g {g.item():.4f}")


main()
