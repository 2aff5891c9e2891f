"""A data set and a collate function make tensors: that is their work."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Linear(64, 10).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
data = [(torch.randn(32, 64), torch.randint(10, (32,))) for _ in range(12)]

from torch.utils.data import DataLoader, Dataset


class Noise(Dataset):
    def __len__(self):
        return 12 * 32

    def __getitem__(self, i):
        return torch.randn(64), i % 10


def collate(rows):
    batch = torch.zeros(len(rows), 64)
    for i, (x, _) in enumerate(rows):
        batch[i] = x
    return batch, torch.tensor([y for _, y in rows])


for x, y in DataLoader(Noise(), batch_size=32, collate_fn=collate):
    loss = nn.functional.cross_entropy(model(x.to(device)), y.to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
