"""A nested batch of many little tensors is moved piece by piece."""
import torch
from batches import Sample, to_device
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


def loader(n):
    for i in range(n):
        frames = list(torch.randn(12, 5, 6))
        yield Sample(frames, torch.randn(5, 6))


class Pool(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(6, 6)

    def forward(self, frames):
        return self.fc(torch.stack(frames).mean(0))


torch.manual_seed(319)
model = Pool().to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for sample in loader(12):
    sample = to_device(sample, device)
    loss = nn.functional.l1_loss(model(sample.frames), sample.target)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
