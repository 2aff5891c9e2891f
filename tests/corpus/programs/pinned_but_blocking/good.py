"""The loader pins, but the move does not say non_blocking."""
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Engine:
    def __init__(self, model, loader):
        self.model, self.loader = model.to(device), loader
        self.optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def run(self):
        for x, in self.loader:
            x = x.to(device, non_blocking=True)
            loss = (self.model(x) - x).square().mean()
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
        return loss


torch.manual_seed(84)
loader = DataLoader(TensorDataset(torch.rand(768, 300)), batch_size=64, pin_memory=True)
print(f"{Engine(nn.Linear(300, 300), loader).run().item():.4f}")
