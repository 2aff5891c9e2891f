"""Normalisation constants cross in every call of a lambda."""
import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"
MEAN = torch.rand(3, 8, 8) * 0.1 + 0.45
STD = torch.rand(3, 8, 8) * 0.1 + 0.2

MEAN, STD = MEAN.to(device), STD.to(device)
normalise = lambda images: (images - MEAN) / STD

torch.manual_seed(8)
net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 5)).to(device)
optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
dataset = torch.utils.data.TensorDataset(torch.rand(96, 3, 8, 8), torch.randint(5, (96,)))
for images, labels in torch.utils.data.DataLoader(dataset, batch_size=8):
    images, labels = images.to(device), labels.to(device)
    loss = nn.functional.cross_entropy(net(normalise(images)), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"loss: {loss.detach().cpu().numpy():.4f}")
