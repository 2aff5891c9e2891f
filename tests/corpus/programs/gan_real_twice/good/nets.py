from torch import nn


class Generator(nn.Sequential):
    def __init__(self, z=8, out=32):
        super().__init__(nn.Linear(z, 16), nn.ReLU(), nn.Linear(16, out))


class Discriminator(nn.Sequential):
    def __init__(self, width=32):
        super().__init__(nn.Linear(width, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))
