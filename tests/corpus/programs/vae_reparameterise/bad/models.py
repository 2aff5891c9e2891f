import torch
from torch import nn


class VAE(nn.Module):
    def __init__(self, width=24, latent=4):
        super().__init__()
        self.fc1 = nn.Linear(width, 16)
        self.mu = nn.Linear(16, latent)
        self.logvar = nn.Linear(16, latent)
        self.fc3 = nn.Linear(latent, 16)
        self.fc4 = nn.Linear(16, width)

    def reparameterize(self, mu, logvar):
        std = torch.exp(0.5 * logvar)
        eps = torch.randn(std.size()).to(std.device)  # expect: PA103
        return mu + eps * std

    def forward(self, x):
        h = torch.relu(self.fc1(x))
        mu, logvar = self.mu(h), self.logvar(h)
        z = self.reparameterize(mu, logvar)
        return torch.sigmoid(self.fc4(torch.relu(self.fc3(z)))), x, mu, logvar
