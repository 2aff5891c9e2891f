"""A boolean mask becomes float on the host, then crosses."""
import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


class MaskedModel(nn.Module):
    def __init__(self, width=48):
        super().__init__()
        self.enc, self.dec = nn.Linear(width, 16), nn.Linear(16, width)

    def forward(self, x, keep):
        return self.dec(torch.relu(self.enc(x * keep)))


def loss_fn(model, x, hidden):
    keep = (~hidden).float().to(device)  # expect: PA107
    x = x.to(device)
    return ((model(x, keep) - x).square() * (1 - keep)).mean()


def main():
    torch.manual_seed(58)
    model = MaskedModel().to(device)
    optimizer = torch.optim.Adam(model.parameters())
    data = [(torch.randn(64, 48), torch.rand(64, 48) < 0.2) for _ in range(12)]
    for x, hidden in data:
        loss = loss_fn(model, x, hidden)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"{loss.item():.4f}")


main()
