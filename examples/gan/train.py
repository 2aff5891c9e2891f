"""A small GAN in the shape of the well-known tutorials, with the copies and waits they carry.

What goes wrong: labels and noise are made on the host, a loss is printed in every step, the same
images are downloaded twice.  What the audit says: each planted line with the rule that finds it.
What to change: see `train_fixed.py`, which computes the same without them.
"""

import argparse

import torch
from torch import nn

BATCH = 64
SIZE = 16
NOISE = 32


class Generator(nn.Module):
    """Noise to an image of SIZE x SIZE."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(NOISE, 128),
            nn.BatchNorm1d(128),
            nn.ReLU(),
            nn.Linear(128, SIZE * SIZE),
            nn.Tanh(),
        )

    def forward(self, noise):
        return self.layers(noise).view(-1, 1, SIZE, SIZE)


class Discriminator(nn.Module):
    """An image to the logit of its being real."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 8, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(8, 16, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
            nn.Linear(16 * (SIZE // 4) ** 2, 1),
        )

    def forward(self, images):
        return self.layers(images).flatten()


def circles(number):
    """Filled circles at random places: the real images."""
    ys, xs = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    centers = 4 + 8 * torch.rand(number, 2)
    distance = (xs - centers[:, 0, None, None]) ** 2 + (ys - centers[:, 1, None, None]) ** 2
    return (distance < 12).float().mul(2).sub(1).unsqueeze(1)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=4)
    args = parser.parse_args()

    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    real_images = circles(16 * BATCH).to(device)
    netG = Generator().to(device)
    netD = Discriminator().to(device)
    criterion = nn.BCEWithLogitsLoss()
    optimizerD = torch.optim.Adam(netD.parameters(), lr=2e-4, betas=(0.5, 0.999))
    optimizerG = torch.optim.Adam(netG.parameters(), lr=2e-4, betas=(0.5, 0.999))

    for epoch in range(args.epochs):
        for i in range(0, len(real_images), BATCH):
            # The discriminator: real images are real, made ones are not.
            netD.zero_grad()
            real = torch.full((BATCH,), 1.0).to(device)  # stray: PA103
            errD_real = criterion(netD(real_images[i : i + BATCH]), real)
            noise = torch.randn(BATCH, NOISE).to(device)  # stray: PA103
            made = netG(noise)
            fake = torch.full((BATCH,), 0.0).to(device)  # stray: PA103
            errD = errD_real + criterion(netD(made.detach()), fake)
            errD.backward()
            optimizerD.step()

            # The generator: what it makes should pass for real.
            netG.zero_grad()
            errG = criterion(netD(made), real)
            errG.backward()
            optimizerG.step()

            print(f"  [{epoch}/{i // BATCH}] D {errD.item():.4f}")  # stray: PA201
            samples = made.detach().cpu()
            contrast = made.detach().cpu().std()  # stray: PA109
        print(
            f"epoch {epoch}: D {errD.item():.4f}, G {errG.item():.4f},"
            f" contrast {contrast:.4f}, mean {samples.mean():.4f}"
        )


if __name__ == "__main__":
    main()
