"""Large batches from a loader without pinned memory."""
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

device = "cuda" if torch.cuda.is_available() else "cpu"


def get_loader(n=12, size=64):
    images = torch.rand(n * size, 1, 20, 20)
    labels = torch.randint(10, (n * size,))
    return DataLoader(
        TensorDataset(images, labels), batch_size=size, shuffle=True, drop_last=True, pin_memory=True
    )


def main():
    torch.manual_seed(80)
    model = nn.Sequential(nn.Flatten(), nn.Linear(400, 16), nn.ReLU(), nn.Linear(16, 10)).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for images, labels in get_loader():
        images = images.to(device, non_blocking=True)
        labels = labels.to(device, non_blocking=True)
        loss = nn.functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"{loss.item():.4f}")


main()
