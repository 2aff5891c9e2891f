"""Batches are drawn with fixed class-balancing weights, on the device."""
import torch
from torch import nn

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class BalancedDraws:
    def __init__(self, labels, size):
        counts = torch.bincount(labels).float()
        self.weights = (1.0 / counts[labels]).to(device)
        self.size = size

    def __iter__(self):
        for _ in range(14):
            yield torch.multinomial(self.weights, self.size)  # expect: PA201 info


torch.manual_seed(310)
images, labels = torch.rand(80, 12), torch.randint(4, (80,))
model = nn.Linear(12, 4).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
on_device = images.to(device), labels.to(device)
for index in BalancedDraws(labels, 10):
    x, y = (t[index] for t in on_device)
    loss = nn.functional.cross_entropy(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
