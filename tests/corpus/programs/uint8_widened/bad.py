"""Images are bytes; they are widened to float and scaled before they cross."""
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

device = "cuda" if torch.cuda.is_available() else "cpu"


def prepare(images):
    return images.float().div(255).to(device)  # expect: PA107


def main():
    torch.manual_seed(55)
    data = TensorDataset(torch.randint(256, (96, 3, 16, 16), dtype=torch.uint8), torch.randint(5, (96,)))
    model = nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 49, 5)).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for images, labels in DataLoader(data, batch_size=8):
        loss = nn.functional.cross_entropy(model(prepare(images)), labels.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"{loss.item():.4f}")


main()
