"""VQ-VAE: how much of the codebook is in use is looked up at every step."""
import torch
import torch.nn.functional as F
from torch import nn

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Quantizer(nn.Module):
    def __init__(self, codes=16, dim=6):
        super().__init__()
        self.codes = codes
        self.embedding = nn.Embedding(codes, dim)
        self.used = []

    def forward(self, z):
        distance = (z[:, None] - self.embedding.weight).square().sum(-1)
        index = distance.argmin(1)
        hit = torch.zeros(self.codes, device=z.device).index_fill_(0, index, 1.0)
        self.used.append(hit.sum())
        q = self.embedding(index)
        loss = F.mse_loss(q, z.detach()) + 0.25 * F.mse_loss(z, q.detach())
        return z + (q - z).detach(), loss


class VQVAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.enc, self.quantize, self.dec = nn.Linear(10, 6), Quantizer(), nn.Linear(6, 10)

    def forward(self, x):
        q, commitment = self.quantize(self.enc(x))
        return F.mse_loss(self.dec(q), x) + commitment


torch.manual_seed(331)
model = VQVAE().to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
for x in torch.randn(12, 20, 10):
    loss = model(x.to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
used = model.quantize.used
used = torch.stack(used).int().tolist()
print("used", sum(used), f"{loss.item():.4f}")
