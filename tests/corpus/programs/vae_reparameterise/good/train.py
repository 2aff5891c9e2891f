"""The reparameterisation trick draws its noise on the host."""
from models import VAE
import torch

device = "cuda" if torch.cuda.is_available() else "cpu"


def elbo(recon, x, mu, logvar):
    bce = torch.nn.functional.mse_loss(recon, x, reduction="sum")
    kld = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    return (bce + kld) / len(x)


def train_epoch(model, loader, optimizer):
    model.train()
    total = torch.zeros((), device=device)
    for x in loader:
        x = x.to(device)
        optimizer.zero_grad()
        loss = elbo(*model(x))
        loss.backward()
        optimizer.step()
        total += loss.detach()
    return total.item() / len(loader)


if __name__ == "__main__":
    torch.manual_seed(22)
    model = VAE().to(device)
    print("%.3f" % train_epoch(model, torch.rand(12, 10, 24), torch.optim.Adam(model.parameters())))
