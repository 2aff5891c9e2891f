"""Loader workers without pin_memory; the batch class moves itself."""
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

device = "cuda" if torch.cuda.is_available() else "cpu"


class Spectra(Dataset):
    def __init__(self):
        self.x = torch.randn(240, 1024)

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return self.x[i], i * 7 % 11 % 4


class Batch:
    def __init__(self, items):
        self.x = torch.stack([x for x, _ in items])
        self.y = torch.tensor([y for _, y in items])

    def pin_memory(self):
        self.x, self.y = self.x.pin_memory(), self.y.pin_memory()
        return self

    def to(self, device):
        self.x = self.x.to(device, non_blocking=True)  # expect: PA202
        self.y = self.y.to(device, non_blocking=True)
        return self


if __name__ == "__main__":
    torch.manual_seed(81)
    model = nn.Linear(1024, 4).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.001)
    loader = DataLoader(Spectra(), batch_size=20, collate_fn=Batch, num_workers=1)
    for batch in loader:
        batch = batch.to(device)
        loss = nn.functional.cross_entropy(model(batch.x), batch.y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"{loss.item():.4f}")
