"""A general mover takes everything up; not every entry is used."""
import torch
from batches import Sample, to_device
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


def loader(n):
    for i in range(n):
        frames = list(torch.randn(12, 5, 6))
        frames = [torch.stack(frames)]
        yield Sample(frames, torch.randn(5, 6), {"camera": torch.randn(3, 4), "id": i})


class Pool(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(6, 6)

    def forward(self, frames):
        return self.fc(frames[0].mean(0))


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
