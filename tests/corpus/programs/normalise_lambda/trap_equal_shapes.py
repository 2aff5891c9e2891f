"""Normalisation constants cross in every call of a lambda."""
import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"
CROPS = list(torch.rand(12, 3, 8, 8))

mixup = lambda images, other: 0.8 * images + 0.2 * other.to(images.device)

torch.manual_seed(8)
net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 5)).to(device)
optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
dataset = torch.utils.data.TensorDataset(torch.rand(96, 3, 8, 8), torch.randint(5, (96,)))
for crop, (images, labels) in zip(CROPS, torch.utils.data.DataLoader(dataset, batch_size=8)):
    images, labels = images.to(device), labels.to(device)
    loss = nn.functional.cross_entropy(net(mixup(images, crop)), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"loss: {loss.detach().cpu().numpy():.4f}")
