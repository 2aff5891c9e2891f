"""Padding is made in the collate function: outside the loop, data of a loader."""
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

device = "cuda" if torch.cuda.is_available() else "cpu"


class Synthetic(Dataset):
    def __len__(self):
        return 72

    def __getitem__(self, i):
        g = torch.Generator().manual_seed(i)
        return torch.randn(3 + i % 5, 6, generator=g), i % 3


def pad(items):
    longest = max(len(x) for x, _ in items)
    batch = torch.zeros(len(items), longest, 6)
    mask = torch.ones(len(items), longest)
    for row, (x, _) in enumerate(items):
        batch[row, : len(x)] = x
        mask[row, len(x) :] = 0
    return batch, mask, torch.tensor([y for _, y in items])


torch.manual_seed(33)
model = nn.Linear(6, 3).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x, mask, y in DataLoader(Synthetic(), batch_size=6, shuffle=True, collate_fn=pad):
    x, mask, y = x.to(device), mask.to(device), y.to(device)
    pooled = (model(x) * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
    loss = nn.functional.cross_entropy(pooled, y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
