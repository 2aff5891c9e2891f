"""The first layer normalises; it also takes the batch to the device, unseen by the loop."""
import torch
from torch import nn

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Normalise(nn.Module):
    def __init__(self, mean, std):
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1))

    def forward(self, images):
        return (images - self.mean) / self.std


torch.manual_seed(336)
model = nn.Sequential(
    Normalise([0.48, 0.45, 0.40], [0.23, 0.22, 0.22]),
    nn.Conv2d(3, 4, 3),
    nn.ReLU(),
    nn.Flatten(),
    nn.Linear(144, 5),
).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
for images, labels in zip(torch.rand(12, 6, 3, 8, 8), torch.randint(5, (12, 6))):
    loss = nn.functional.cross_entropy(model(images.to(device)), labels.to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
