"""VAE latents travel as Python lists to a helper that decodes them."""
from dataclasses import dataclass

import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


@dataclass
class Config:
    width: int = 24
    latent: int = 6
    batch: int = 8
    steps: int = 12


class AutoEncoder(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.enc = nn.Linear(cfg.width, cfg.latent)
        self.dec = nn.Linear(cfg.latent, cfg.width)


def encode(model, x):
    with torch.no_grad():
        return model.enc(x)


def decode(model, codes):
    return model.dec(codes)


def main(cfg):
    torch.manual_seed(2)
    model = AutoEncoder(cfg).to(device)
    optimizer = torch.optim.Adam(model.dec.parameters(), lr=1e-2)
    batches = torch.rand(cfg.steps, cfg.batch, cfg.width)
    for x in batches:
        x = x.to(device)
        out = decode(model, encode(model, x))
        loss = (out - x).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"mse {loss.item():.5f}")


main(Config())
