"""The loader's own thread pins; with workers that is what pin_memory=True is for."""
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

device = "cuda" if torch.cuda.is_available() else "cpu"

if __name__ == "__main__":
    torch.manual_seed(97)
    data = TensorDataset(torch.randn(480, 500))
    model = nn.Linear(500, 8).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for (x,) in DataLoader(data, batch_size=40, num_workers=1, pin_memory=True):
        loss = model(x.to(device, non_blocking=True)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"{loss.item():.4f}")
